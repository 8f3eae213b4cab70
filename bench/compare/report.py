def write(jobs, folder): pass
