//! The edge: the only place that reads the environment, the clock and the machine.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::{env, fs, io};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use transform::{Bucket, Catalog, Code, DataRoot, EmbeddedCatalog, Engine, Error, Limits, Result, Stamp};

use handlers::glue::{self, GlueCatalog};
use handlers::settings::{Place, Settings};
use handlers::wiring::{self, Wiring};
use handlers::{http, start};

use crate::args::{Args, CatalogChoice};
use crate::memory;

/// Memory limit of a machine that does not say how much it has.
const FALLBACK_MEMORY: u64 = 2 << 30;
/// The least that a query gets.
const LEAST_MEMORY: u64 = 64 << 20;

/// Logs go to stderr, as `RUST_LOG` says; warnings by default.
pub(crate) fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,object_store=error"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time();
    // A second initialisation cannot happen: there is one call.
    let _ = subscriber.try_init();
}

/// The engine for the arguments.
pub(crate) async fn engine(args: &Args) -> Result<Engine> {
    let limits = limits(args)?;
    if args.catalog == CatalogChoice::Glue {
        let place = Place::parse("--data", &args.data)?;
        let sdk = http::config().await;
        // The catalog's tables may lie in any bucket that the credentials allow.
        let root = DataRoot::new(wiring::bucket(&sdk, None), wiring::path(&place)?);
        return Ok(Engine::new(root, Arc::new(GlueCatalog::new(glue::client(&sdk))), limits));
    }
    let root = data_root(&args.data)?;
    let catalog: Arc<dyn Catalog> = Arc::new(EmbeddedCatalog::new(root.clone()));
    Ok(Engine::new(root, catalog, limits))
}

/// What the functions are made of, with the settings that they would have on Lambda.
pub(crate) async fn wiring() -> Result<Wiring> {
    let settings = Settings::read(|name| env::var(name).ok())?;
    let limits = start::limits(&settings);
    Ok(Wiring::new(settings, http::config().await, limits))
}

/// A place on S3, with the store that has it.
pub(crate) async fn place(argument: &str, url: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let place = Place::parse(argument, url)?;
    Ok((wiring::bucket(&http::config().await, None).store, wiring::path(&place)?))
}

/// This invocation.
pub(crate) fn stamp() -> Stamp {
    Stamp { at: chrono::Utc::now(), seed: uuid::Uuid::new_v4().to_string() }
}

fn data_root(data: &str) -> Result<DataRoot> {
    match data.split_once("://") {
        Some(("s3", rest)) => s3(rest),
        Some(("file", path)) => local(FilePath::new(path)),
        Some((scheme, _)) => Err(Error::new(Code::Usage, format!("`--data {data}`: `{scheme}` is not supported"))
            .help("name a local folder or `s3://bucket/prefix`")),
        None => local(FilePath::new(data)),
    }
}

fn local(folder: &FilePath) -> Result<DataRoot> {
    let shown = folder.display().to_string();
    let absolute = fs::canonicalize(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Code::NotFound, format!("the data folder `{shown}` does not exist"))
            .help("create it, or name another with `--data`"),
        _ => Error::new(Code::PermissionDenied, format!("the data folder `{shown}` cannot be opened: {error}"))
            .help("correct its permissions, or name another with `--data`"),
    })?;
    if !absolute.is_dir() {
        return Err(
            Error::new(Code::NotFound, format!("`{shown}` is not a folder")).help("name a folder with `--data`")
        );
    }
    let key = absolute.to_string_lossy();
    let prefix = Path::parse(key.trim_start_matches('/'))
        .map_err(|error| Error::new(Code::NotFound, format!("the folder `{shown}` cannot be used: {error}")))?;
    let store = Arc::new(LocalFileSystem::new());
    Ok(DataRoot::new(Bucket { base: "file:///".to_owned(), store, multipart: None }, prefix))
}

fn s3(rest: &str) -> Result<DataRoot> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain_http = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .any(|name| env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://")));
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_allow_http(plain_http)
        .build()
        .map_err(|error| Error::new(Code::Usage, format!("the bucket `{bucket}` cannot be used: {error}")))?;
    let prefix = Path::parse(prefix.trim_matches('/'))
        .map_err(|error| Error::new(Code::Usage, format!("the prefix `{prefix}` cannot be used: {error}")))?;
    let store = Arc::new(store);
    let multipart = Some(Arc::clone(&store) as _);
    Ok(DataRoot::new(
        Bucket { base: format!("s3://{bucket}/"), store: store as Arc<dyn ObjectStore>, multipart },
        prefix,
    ))
}

/// The folder for temporary files.
///
/// # Errors
/// [`Code::NotFound`] if there is none.
pub(crate) fn temp(args: &Args) -> Result<PathBuf> {
    let temp = args.temp.clone().unwrap_or_else(env::temp_dir);
    if !temp.is_dir() {
        let message = format!("the folder for temporary files `{}` does not exist", temp.display());
        return Err(Error::new(Code::NotFound, message).help("create it, or name another with `--temp`"));
    }
    Ok(temp)
}

fn limits(args: &Args) -> Result<Limits> {
    let memory = args.memory.unwrap_or_else(|| (memory::free().unwrap_or(FALLBACK_MEMORY) / 10 * 6).max(LEAST_MEMORY));
    Ok(Limits {
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
        temp: temp(args)?,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    })
}
