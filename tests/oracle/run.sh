#!/usr/bin/env bash
# Runs the shipped transforms on sample data in a temporary folder, in two steps as in `make demo`, and checks all tables
# against DuckDB; then source tables in many forms by the catalog's description alone.
#
#   run.sh UNGLUE LANDING PYTHON EXAMPLES
#
# EXAMPLES is a folder of public Avro files.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
unglue=$(realpath "$1") landing=$(realpath "$2") examples=$(realpath "$4")
# Not resolved: a virtual environment is known by the path that its Python is called by.
python=$(cd "$(dirname "$3")" && pwd)/$(basename "$3")

data=$(mktemp -d -t unglue-oracle.XXXXXX)
trap 'rm -rf "$data"' EXIT

"$landing" --out "$data" --scale 0.01 --days 13
"$unglue" run --project "$project" --data "$data"
"$landing" --out "$data" --scale 0.01 --only-day 14
"$unglue" run --project "$project" --data "$data"
"$python" "$here/oracle.py" --self-test --project "$project" --data "$data"
"$python" "$here/oracle.py" --unglue "$unglue" --project "$project" --data "$data"
"$python" "$here/described.py" --unglue "$unglue" --avro "$examples"
