//! The first function: objects arrive, the catalog learns of them, the bus is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::OnceCell;
use transform::{
    ArrivedIn, Code, DataRoot, Engine, Error, NewObject, Project, Result, TableChange, TableName, storage,
};

use transform::is_hidden;

use crate::announce::{self, Bus};
use crate::crawler::Crawler;
use crate::event::own::Arrival;
use crate::event::{Change, Found, Message, ObjectEvent, expected, newest, parse};
use crate::queue::{Fate, Item, is_permanent, worse};
use crate::wiring::ProjectSource;

/// A place where objects arrive, with the engine that looks at it.
#[derive(Clone)]
pub struct Landing {
    /// The place.
    pub root: DataRoot,
    /// The engine with this place as its data folder.
    pub engine: Engine,
}

/// What the function needs.
pub struct CatalogHandler {
    /// Where objects arrive.
    pub landing: Vec<Landing>,
    /// Names of the buckets of `landing`.
    pub buckets: Vec<String>,
    /// The bus.
    pub bus: Bus,
    /// The crawler that does the work instead.
    pub crawler: Option<Crawler>,
}

/// An object that arrived, with the messages that told of it.
struct Arrived {
    items: Vec<usize>,
    /// The table in whose place it lies, if it is in any.
    place: Option<TableName>,
    landing: usize,
    arrival: Arrival,
}

impl CatalogHandler {
    /// Brings the catalog up to date with the objects of a batch, and says so on the bus.
    /// The project is asked for where the catalog does not say whose a table is.
    pub async fn handle(&self, source: &ProjectSource, items: Vec<Item>) -> Vec<(Item, Fate)> {
        let mut fates: Vec<Fate> = items.iter().map(|_| Ok(())).collect();
        let mut told: Vec<(usize, ObjectEvent)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match parse(&item.body).and_then(|messages| self.objects_of(messages)) {
                Ok(objects) => told.extend(objects.into_iter().map(|object| (index, object))),
                Err(error) => fates[index] = Err(error),
            }
        }
        let mut arrived = Vec::new();
        for object in newest(told.iter().map(|(_, object)| object.clone()).collect()) {
            let is_same = |other: &ObjectEvent| other.bucket == object.bucket && other.keys == object.keys;
            let items: Vec<usize> = told.iter().filter(|(_, other)| is_same(other)).map(|(item, _)| *item).collect();
            match self.located(&object).await {
                Ok(places) => arrived.extend(places.into_iter().map(|(landing, place, arrival)| Arrived {
                    items: items.clone(),
                    place,
                    landing,
                    arrival,
                })),
                Err(error) => items.iter().for_each(|item| worsen(&mut fates[*item], Err(error.copy()))),
            }
        }
        let project = OnceCell::new();
        let project = async || project.get_or_try_init(|| source.current()).await.cloned();
        for (item, fate) in self.update(&project, arrived).await {
            worsen(&mut fates[item], fate);
        }
        items.into_iter().zip(fates).collect()
    }

    /// The objects that messages tell of.
    fn objects_of(&self, messages: Vec<Message>) -> Result<Vec<ObjectEvent>> {
        let mut objects = Vec::new();
        for message in messages {
            match message {
                Message::Object(object) if matches!(object.kind, Change::Removed | Change::VersionRemoved) => {
                    tracing::info!(bucket = object.bucket, key = ?object.keys, "removed: nothing to do");
                }
                Message::Object(object) => {
                    expected(&object, &self.buckets, None)?;
                    objects.push(object);
                }
                Message::Nothing(reason) => tracing::info!(reason, "nothing to do"),
                other => tracing::info!(?other, "not for the catalog"),
            }
        }
        Ok(objects)
    }

    /// Where an object belongs, and which version of it there is: nowhere, if it is no data or is gone.
    async fn located(&self, object: &ObjectEvent) -> Result<Vec<(usize, Option<TableName>, Arrival)>> {
        let mut located = Vec::new();
        for (key, bytes, etag) in self.there(object).await? {
            let url = format!("s3://{}/{key}", object.bucket);
            if bytes == 0 || key.split('/').any(is_hidden) {
                tracing::info!(url, "passed over: empty or hidden");
                continue;
            }
            let place = self.landing.iter().position(|landing| landing.root.relative(&url).is_some());
            let Some(place) = place else {
                return Err(Error::new(Code::MisplacedObject, "the object lies outside the landing places")
                    .help("put it below one of them, as `<database>/<table>/…`")
                    .in_object(url, None));
            };
            let table = self.landing[place].engine.table_of(&url).ok();
            let arrival = Arrival { object: url, etag, version: object.version.clone(), bytes: Some(bytes) };
            located.push((place, table, arrival));
        }
        Ok(located)
    }

    /// The objects that an event can be about: keys with size and etag. Where the event leaves no doubt, nothing is requested.
    async fn there(&self, object: &ObjectEvent) -> Result<Vec<(String, u64, Option<String>)>> {
        if let (Some(key), Some(size), Some(etag)) = (object.keys.certain(), object.size, &object.etag) {
            return Ok(vec![(key.to_owned(), size, Some(etag.clone()))]);
        }
        let Some(store) = self.landing.first().map(|landing| landing.root.store()) else { return Ok(Vec::new()) };
        let mut looks = Vec::new();
        for key in object.keys.all() {
            let path = Path::parse(format!("{}/{key}", object.bucket));
            let path = path.map_err(|error| {
                Error::new(Code::BadObject, format!("the key cannot be used: {error}"))
                    .help("give the object another name")
                    .in_object(format!("s3://{}/{key}", object.bucket), None)
            })?;
            looks.push(match store.head(&path).await {
                Ok(meta) => Some(Found { size: meta.size, etag: meta.e_tag }),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(storage(path.as_ref(), error)),
            });
        }
        let found: BTreeMap<&str, &Found> =
            object.keys.all().zip(&looks).filter_map(|(key, found)| Some((key, found.as_ref()?))).collect();
        let chosen = object.chosen(&looks);
        if chosen.is_empty() {
            tracing::warn!(bucket = object.bucket, key = ?object.keys, "the object is gone");
        }
        let chosen =
            chosen.into_iter().filter_map(|key| Some((key.to_owned(), found.get(key)?.size, found[key].etag.clone())));
        Ok(chosen.collect())
    }

    async fn update(
        &self,
        project: &impl AsyncFn() -> Result<Arc<Project>>,
        arrived: Vec<Arrived>,
    ) -> Vec<(usize, Fate)> {
        let mut tables: BTreeMap<(usize, Option<TableName>), Vec<Arrived>> = BTreeMap::new();
        for object in arrived {
            tables.entry((object.landing, object.place.clone())).or_default().push(object);
        }
        if let Some(crawler) = &self.crawler {
            let started = if tables.is_empty() { Ok(()) } else { crawler.start().await };
            let items = tables.into_values().flatten().flat_map(|object| object.items);
            return match started {
                Ok(()) => Vec::new(),
                Err(error) => items.map(|item| (item, Err(error.copy()))).collect(),
            };
        }
        let mut fates = Vec::new();
        for ((landing, place), objects) in tables {
            fates.extend(self.update_tables(project, &self.landing[landing].engine, place.as_ref(), objects).await);
        }
        fates
    }

    async fn update_tables(
        &self,
        project: &impl AsyncFn() -> Result<Arc<Project>>,
        engine: &Engine,
        place: Option<&TableName>,
        objects: Vec<Arrived>,
    ) -> Vec<(usize, Fate)> {
        let new = |Arrived { arrival: Arrival { object, bytes, .. }, .. }: &Arrived| NewObject {
            url: object.clone(),
            bytes: bytes.unwrap_or_default(),
        };
        let new: Vec<NewObject> = objects.iter().map(new).collect();
        let tables = match engine.discover_arrived(project, place, &new).await {
            Ok(tables) => tables,
            Err(error) => return all(&objects, &error),
        };
        let (mut fates, mut objects) = (Vec::new(), objects);
        for ArrivedIn { table, objects: its, change } in tables {
            let (its, others) = objects.into_iter().partition(|object| its.contains(&object.arrival.object));
            objects = others;
            fates.extend(self.tell(&table, change.as_ref(), its).await);
        }
        fates
    }

    /// Tells the bus of objects in one table, but for those that cannot be read.
    async fn tell(&self, table: &TableName, change: Option<&TableChange>, objects: Vec<Arrived>) -> Vec<(usize, Fate)> {
        // What is wrong with an object that arrived concerns its message; what was wrong before was told before.
        let findings = change.map(|change| change.findings.as_slice()).unwrap_or_default();
        let wrong_with = |arrival: &Arrival| findings.iter().find(|finding| is_about(finding, &arrival.object));
        let (mut fates, mut sound) = (Vec::new(), Vec::new());
        for object in objects {
            match wrong_with(&object.arrival) {
                Some(error) if is_permanent(error) => {
                    fates.extend(object.items.iter().map(|item| (*item, Err(error.copy()))));
                }
                _ => sound.push(object),
            }
        }
        if sound.is_empty() && change.is_none_or(|change| !change.is_change()) {
            return fates;
        }
        let arrivals = sound.iter().map(|object| object.arrival.clone()).collect();
        let told = match announce::catalog_updated(table, change, arrivals) {
            Ok(entries) => self.bus.put(entries).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            fates.extend(all(&sound, &error));
        }
        fates
    }
}

fn all(objects: &[Arrived], error: &Error) -> Vec<(usize, Fate)> {
    objects.iter().flat_map(|object| &object.items).map(|item| (*item, Err(error.copy()))).collect()
}

/// Whether a finding is about an object.
fn is_about(finding: &Error, url: &str) -> bool {
    finding.object.as_ref().is_some_and(|place| place.object == url || url.ends_with(&format!("/{}", place.object)))
}

fn worsen(fate: &mut Fate, other: Fate) {
    *fate = worse(std::mem::replace(fate, Ok(())), other);
}
