//! What the functions are made of, once at the start: settings, clients, stores, engines.

use std::path::Path as FilePath;
use std::sync::Arc;

use aws_config::SdkConfig;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use tokio::sync::Mutex;
use transform::{Bucket, Catalog, Code, DataRoot, Engine, Error, Limits, Project, Result};

use crate::announce::{self, Bus};
use crate::buckets::Buckets;
use crate::catalog::{CatalogHandler, Landing};
use crate::cost;
use crate::crawler::Crawler;
use crate::credentials::SdkCredentials;
use crate::glue::GlueCatalog;
use crate::notify::NotifyHandler;
use crate::project::{DeployedProject, folder, sound};
use crate::queue::Queue;
use crate::settings::{Place, ProjectPlace, Settings, required};
use crate::transform::TransformHandler;

/// Settings, and what they lead to.
#[derive(Clone)]
pub struct Wiring {
    /// The settings.
    pub settings: Settings,
    sdk: SdkConfig,
    bucket: Bucket,
    limits: Limits,
}

impl Wiring {
    /// Of settings and the SDK's configuration. Nothing is requested.
    pub fn new(settings: Settings, sdk: SdkConfig, limits: Limits) -> Self {
        let bucket = bucket(&sdk, Some(settings.buckets.clone()));
        Self { settings, sdk, bucket, limits }
    }

    /// The store of all buckets.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.bucket.store)
    }

    fn root(&self, place: &Place) -> Result<DataRoot> {
        Ok(DataRoot::new(self.bucket.clone(), path(place)?))
    }

    fn engine(&self, place: &Place) -> Result<Engine> {
        let catalog: Arc<dyn Catalog> = Arc::new(GlueCatalog::new(crate::glue::client(&self.sdk)));
        Ok(Engine::new(self.root(place)?, catalog, self.limits.clone()))
    }

    fn landing(&self) -> Result<Vec<Landing>> {
        let places = self.settings.landing.iter();
        places.map(|place| Ok(Landing { root: self.root(place)?, engine: self.engine(place)? })).collect()
    }

    fn landing_buckets(&self) -> Vec<String> {
        self.settings.landing.iter().map(|place| place.bucket.clone()).collect()
    }

    /// The event bus.
    pub fn bus(&self) -> Bus {
        Bus::new(aws_sdk_eventbridge::Client::new(&self.sdk), self.settings.bus.clone())
    }

    /// The function's queue.
    pub fn queue(&self) -> Queue {
        let Settings { queue, dead_letters, .. } = &self.settings;
        Queue::new(aws_sdk_sqs::Client::new(&self.sdk), queue.clone(), dead_letters.clone())
    }

    /// The first function.
    ///
    /// # Errors
    /// [`Code::Usage`] for places that cannot be named.
    pub fn catalog(&self) -> Result<CatalogHandler> {
        let crawler = |name: &String| Crawler::new(crate::glue::client(&self.sdk), name.clone());
        Ok(CatalogHandler {
            landing: self.landing()?,
            buckets: self.landing_buckets(),
            bus: self.bus(),
            crawler: self.settings.crawler.as_ref().map(crawler),
        })
    }

    /// The second function. Its engine announces every run on the bus.
    ///
    /// # Errors
    /// [`Code::Usage`] for places that cannot be named.
    pub fn transform(&self) -> Result<TransformHandler> {
        let (bus, memory) = (self.bus(), self.settings.function_memory);
        let announce = move |receipt: transform::Receipt| {
            let bus = bus.clone();
            let cost = cost::of(&receipt, memory);
            Box::pin(async move { bus.put(vec![announce::succeeded(receipt, Some(cost))?]).await }) as _
        };
        Ok(TransformHandler {
            engine: self.engine(required(&self.settings.data, "UNGLUE_DATA")?)?.announcing(Arc::new(announce)),
            landing: self.landing()?,
            buckets: self.landing_buckets(),
            bus: self.bus(),
        })
    }

    /// The third function.
    pub fn notify(&self) -> NotifyHandler {
        NotifyHandler { client: aws_sdk_sns::Client::new(&self.sdk), topic: self.settings.topic.clone() }
    }

    /// Where the project comes from.
    ///
    /// # Errors
    /// For a folder: what cannot be read of it, or its first error.
    pub fn project(&self) -> Result<ProjectSource> {
        match required(&self.settings.project, "UNGLUE_PROJECT")? {
            ProjectPlace::S3(place) => {
                Ok(ProjectSource::Deployed(Mutex::new(DeployedProject::new(self.store(), path(place)?))))
            }
            ProjectPlace::Folder(project) => {
                Ok(ProjectSource::Folder(Arc::new(sound(folder::read(FilePath::new(project))?)?)))
            }
        }
    }
}

/// Where the project comes from.
pub enum ProjectSource {
    /// From S3, where it may be replaced at any time.
    Deployed(Mutex<DeployedProject>),
    /// From the package of the function.
    Folder(Arc<Project>),
}

impl ProjectSource {
    /// The project as it is now.
    ///
    /// # Errors
    /// As [`DeployedProject::current`].
    pub async fn current(&self) -> Result<Arc<Project>> {
        match self {
            Self::Deployed(deployed) => deployed.lock().await.current().await,
            Self::Folder(project) => Ok(Arc::clone(project)),
        }
    }
}

/// All buckets that are allowed, with the SDK's region and credentials; other settings come from the environment.
pub fn bucket(sdk: &SdkConfig, allowed: Option<std::collections::BTreeSet<String>>) -> Bucket {
    let credentials = sdk.credentials_provider().map(|provider| Arc::new(SdkCredentials::new(provider)));
    let region = sdk.region().map(ToString::to_string);
    let open = move |name: &str| {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
        if let Some(credentials) = &credentials {
            builder = builder.with_credentials(Arc::clone(credentials) as _);
        }
        if let Some(region) = &region {
            builder = builder.with_region(region);
        }
        // Only an endpoint that was given can be one without TLS: AWS's own are not.
        builder.with_allow_http(true).build()
    };
    Buckets::new(allowed, Box::new(open)).into_bucket()
}

/// The path of a place below the store of all buckets.
///
/// # Errors
/// [`Code::Usage`] for one that cannot be named.
pub fn path(place: &Place) -> Result<Path> {
    Path::parse(place.path()).map_err(|error| {
        Error::new(Code::Usage, format!("the place `s3://{}` cannot be used: {error}", place.path()))
            .help("name a bucket and a prefix without empty parts")
    })
}
