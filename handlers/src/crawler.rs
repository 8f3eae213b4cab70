//! The other way to keep the catalog: a real Glue crawler, started by arrivals.

use transform::{Code, Error, Result};

use crate::unannounced::unannounced;

/// A Glue crawler.
#[derive(Debug, Clone)]
pub struct Crawler {
    client: aws_sdk_glue::Client,
    name: String,
}

impl Crawler {
    /// A crawler by its name.
    pub fn new(client: aws_sdk_glue::Client, name: String) -> Self {
        Self { client, name }
    }

    /// Starts it. One that runs may have passed by what has arrived just now, so that it has to run once more: the message waits its
    /// turn.
    ///
    /// # Errors
    /// [`Code::Conflict`] while it runs; [`Code::NotFound`] if there is none of this name.
    pub async fn start(&self) -> Result<()> {
        let Err(error) = self.client.start_crawler().name(&self.name).send().await else { return Ok(()) };
        let service = error.as_service_error();
        if service.is_some_and(|error| error.is_crawler_running_exception()) {
            return Err(Error::new(Code::Conflict, format!("the crawler `{}` is running", self.name))
                .help("it is started again once it is through"));
        }
        if service.is_some_and(|error| error.is_entity_not_found_exception()) {
            return Err(Error::new(Code::NotFound, format!("there is no crawler `{}`", self.name))
                .help("create it, or correct `UNGLUE_CRAWLER`"));
        }
        Err(unannounced(&format!("the crawler `{}`", self.name), error))
    }
}
