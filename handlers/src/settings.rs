//! What a function is told by its environment: read once, when it starts.

use std::collections::BTreeSet;

use transform::{Code, Error, Result};

/// Memory of a query, as a part of the function's: the rest is for what is read, encoded and sent.
const QUERY_SHARE: (usize, usize) = (6, 10);
/// The least that a query gets.
const LEAST_MEMORY: usize = 64 << 20;
/// Memory of a function that does not say how much it has, in MB.
const FALLBACK_MEMORY: usize = 1769;
/// How S3 URLs begin.
const SCHEME: &str = "s3://";

/// A bucket and a prefix in it, without a slash at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bucket.
    pub bucket: String,
    /// Prefix of keys; may be empty.
    pub prefix: String,
}

impl Place {
    /// Of a URL `s3://bucket/prefix`.
    ///
    /// # Errors
    /// [`Code::Usage`], with the name of the setting.
    pub fn parse(setting: &str, url: &str) -> Result<Self> {
        let rest = url.trim().strip_prefix(SCHEME).map(|rest| rest.trim_matches('/'));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            return Err(Error::new(Code::Usage, format!("`{setting}={url}` is not a place on S3"))
                .help("write `s3://bucket` or `s3://bucket/prefix`"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }

    /// Bucket and prefix, as one path below `s3://`.
    pub fn path(&self) -> String {
        if self.prefix.is_empty() { self.bucket.clone() } else { format!("{}/{}", self.bucket, self.prefix) }
    }
}

/// Where the project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectPlace {
    /// Where `unglue deploy-sql` has put it.
    S3(Place),
    /// A folder that holds `sql/`, in the package of the function.
    Folder(String),
}

/// The settings of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Home of the tables and of the ledger (`UNGLUE_DATA`).
    pub data: Option<Place>,
    /// Where objects arrive, as `<database>/<table>/…` (`UNGLUE_LANDING`, separated by commas).
    pub landing: Vec<Place>,
    /// Every bucket that may be used: those above and `UNGLUE_BUCKETS`.
    pub buckets: BTreeSet<String>,
    /// `UNGLUE_PROJECT`.
    pub project: Option<ProjectPlace>,
    /// The bus that events are put on (`UNGLUE_EVENT_BUS`).
    pub bus: String,
    /// The topic for people (`UNGLUE_TOPIC_ARN`).
    pub topic: Option<String>,
    /// The queue that the function reads (`UNGLUE_QUEUE`).
    pub queue: Option<String>,
    /// The queue for what will never be processed as it is (`UNGLUE_DEAD_LETTERS`).
    pub dead_letters: Option<String>,
    /// The Glue crawler that keeps the catalog, instead of unglue (`UNGLUE_CRAWLER`).
    pub crawler: Option<String>,
    /// Memory of the function in MB (`AWS_LAMBDA_FUNCTION_MEMORY_SIZE`).
    pub function_memory: usize,
    /// Memory of a query in bytes.
    pub memory: usize,
}

impl Settings {
    /// Reads the settings; `variable` looks one up.
    ///
    /// # Errors
    /// [`Code::Usage`], with the name of the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let list = |name: &str| set(name).map(|value| comma_separated(&value)).unwrap_or_default();
        let data = set("UNGLUE_DATA").map(|url| Place::parse("UNGLUE_DATA", &url)).transpose()?;
        let landing = list("UNGLUE_LANDING");
        let landing = landing.iter().map(|url| Place::parse("UNGLUE_LANDING", url)).collect::<Result<Vec<_>>>()?;
        let project = match set("UNGLUE_PROJECT") {
            Some(url) if url.starts_with(SCHEME) => Some(ProjectPlace::S3(Place::parse("UNGLUE_PROJECT", &url)?)),
            folder => folder.map(ProjectPlace::Folder),
        };
        let mut buckets: BTreeSet<String> = list("UNGLUE_BUCKETS").into_iter().collect();
        buckets.extend(landing.iter().chain(&data).map(|place| place.bucket.clone()));
        if let Some(ProjectPlace::S3(place)) = &project {
            buckets.insert(place.bucket.clone());
        }
        let function_memory = megabytes(set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))?;
        let (share, of) = QUERY_SHARE;
        Ok(Self {
            data,
            landing,
            buckets,
            project,
            bus: set("UNGLUE_EVENT_BUS").unwrap_or_else(|| "default".to_owned()),
            topic: set("UNGLUE_TOPIC_ARN"),
            queue: set("UNGLUE_QUEUE"),
            dead_letters: set("UNGLUE_DEAD_LETTERS"),
            crawler: set("UNGLUE_CRAWLER"),
            function_memory,
            memory: ((function_memory << 20) / of * share).max(LEAST_MEMORY),
        })
    }
}

/// What a function needs, and was not given.
///
/// # Errors
/// [`Code::Usage`] with the name of the variable.
pub fn required<'a, T>(setting: &'a Option<T>, name: &str) -> Result<&'a T> {
    setting.as_ref().ok_or_else(|| {
        Error::new(Code::Usage, format!("the variable `{name}` is not set"))
            .help("set it in the environment of the function, as `template.yaml` does")
    })
}

fn comma_separated(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn megabytes(text: Option<String>) -> Result<usize> {
    let Some(text) = text else { return Ok(FALLBACK_MEMORY) };
    text.parse().map_err(|_| {
        Error::new(Code::Usage, format!("`AWS_LAMBDA_FUNCTION_MEMORY_SIZE={text}` is not a number of megabytes"))
            .help("write a number")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const LEAST: [(&str, &str); 2] = [("UNGLUE_DATA", "s3://lake"), ("UNGLUE_PROJECT", "s3://lake/_unglue/_project/")];

    #[test]
    fn the_least_that_must_be_said() {
        let settings = read(&LEAST).unwrap();
        assert_eq!(settings.data.map(|place| place.path()).as_deref(), Some("lake"));
        assert_eq!(settings.buckets, BTreeSet::from(["lake".to_owned()]));
        assert_eq!(settings.bus, "default");
        let project = Place { bucket: "lake".into(), prefix: "_unglue/_project".into() };
        assert_eq!(settings.project, Some(ProjectPlace::S3(project)));
    }

    #[test]
    fn several_landing_places_and_more_buckets() {
        let more = [("UNGLUE_LANDING", "s3://a/in, s3://b/"), ("UNGLUE_BUCKETS", "c,d"), ("UNGLUE_TOPIC_ARN", "")];
        let settings = read(&[&LEAST[..], &more].concat()).unwrap();
        assert_eq!(settings.landing.iter().map(Place::path).collect::<Vec<_>>(), ["a/in", "b"]);
        assert_eq!(settings.buckets.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d", "lake"]);
        assert_eq!(settings.topic, None, "an empty variable is none");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (variables, named) in [
            (vec![("UNGLUE_DATA", "/tmp")], "UNGLUE_DATA"),
            (vec![("UNGLUE_DATA", "s3://")], "UNGLUE_DATA"),
            ([&LEAST[..], &[("UNGLUE_LANDING", "s3://a,b")]].concat(), "UNGLUE_LANDING"),
            ([&LEAST[..], &[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much")]].concat(), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        ] {
            let error = read(&variables).unwrap_err();
            assert!(error.code == Code::Usage && error.message.contains(named), "{error}");
        }
    }
}
