//! The second function: the catalog has news of tables, the transforms that read them run, the bus is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};
use transform::{Arrived, Asked, Code, Engine, Error, Kind, Outcome, Project, Result, Stamp, TableName};

use crate::announce::{self, Bus};
use crate::catalog::Landing;
use crate::event::{Message, RunRequested, expected, parse};
use crate::queue::{Fate, Item, is_permanent, worse};

/// What is left of a function's time when work ends: enough to report what became of it.
const MARGIN: Duration = Duration::from_secs(5);

/// What the function needs.
pub struct TransformHandler {
    /// The engine, with the lake as its data folder.
    pub engine: Engine,
    /// Where objects arrive: a replay names objects.
    pub landing: Vec<Landing>,
    /// Names of the buckets of `landing`.
    pub buckets: Vec<String>,
    /// The bus.
    pub bus: Bus,
}

/// What arrived, by table.
type Arrivals = BTreeMap<TableName, Arrived>;

impl TransformHandler {
    /// Runs what a batch of messages is about, once for all of it; what comes again is run by itself. `stamp` makes each
    /// invocation different from others; work ends in time before `deadline`.
    pub async fn handle(
        &self,
        project: &Project,
        items: Vec<Item>,
        stamp: &Stamp,
        deadline: Instant,
    ) -> Vec<(Item, Fate)> {
        let mut fates: Vec<Fate> = items.iter().map(|_| Ok(())).collect();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match parse(&item.body).and_then(|messages| self.arrivals(project, messages)) {
                Ok(arrivals) if arrivals.is_empty() => {}
                Ok(arrivals) if item.is_again() => alone.push(vec![(index, arrivals)]),
                Ok(arrivals) => together.push((index, arrivals)),
                Err(error) => fates[index] = Err(error),
            }
        }
        let groups = [together].into_iter().chain(alone).filter(|group| !group.is_empty());
        for (number, group) in groups.enumerate() {
            let stamp = Stamp { seed: format!("{} {number}", stamp.seed), ..stamp.clone() };
            let ends = deadline.checked_sub(MARGIN).unwrap_or(deadline);
            let of_group = match timeout_at(ends, self.run(project, &group, &stamp, &items)).await {
                Ok(of_group) => of_group,
                Err(_) => {
                    let late = || Error::new(Code::TimeOver, "the function's time was over before the run was through");
                    let help =
                        "it is begun anew; give the function more time or memory, or send fewer objects at a time";
                    group.iter().map(|(item, _)| (*item, Err(late().help(help)))).collect()
                }
            };
            for (item, fate) in of_group {
                fates[item] = fate;
            }
        }
        items.into_iter().zip(fates).collect()
    }

    /// Runs transforms that someone asks for by name, and answers as `unglue run --json` does. Work ends in time before `deadline`.
    ///
    /// # Errors
    /// [`Code::UnknownTransform`]; [`Code::TimeOver`], after which what was begun is carried on by the next call; the catalog's.
    pub async fn run_named(
        &self,
        project: &Project,
        request: &RunRequested,
        stamp: &Stamp,
        deadline: Instant,
    ) -> Result<serde_json::Value> {
        let all = project.transforms().iter().map(|transform| transform.target.clone());
        let named = request.names.iter().map(|name| Ok(project.find(name)?.target.clone()));
        let names: BTreeSet<TableName> =
            if request.names.is_empty() { all.collect() } else { named.collect::<Result<_>>()? };
        let asked = if request.full_refresh { Asked::Rebuild } else { Asked::Due };
        let run = async {
            let mut checked = self.engine.check(&project.cut_down_to(&names)).await?;
            if !request.full_refresh {
                checked = checked.without_full_refresh();
            }
            let outcomes = self.engine.run(project, &checked, &names, &asked, stamp, &|_| {}).await;
            Ok::<_, Error>((checked.errors, outcomes))
        };
        let ends = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let (mut errors, outcomes) = timeout_at(ends, run).await.map_err(|_| {
            Error::new(Code::TimeOver, "the function's time was over before the runs were through")
                .help("call it again: what was begun is carried on")
        })??;
        let (mut receipts, mut idle, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for Outcome { transform, runs, waits_for } in outcomes {
            match waits_for {
                Some(upstream) => waiting.push(json!({"transform": transform, "waits_for": upstream})),
                None if runs.is_empty() => idle.push(transform),
                None => {}
            }
            for run in runs {
                match run {
                    Ok(receipt) => receipts.push(receipt),
                    Err(error) => errors.push(error),
                }
            }
        }
        let receipts = announce::shortened(receipts)?;
        Ok(json!({"runs": receipts, "errors": errors, "up_to_date": idle, "waiting": waiting}))
    }

    /// The tables that messages tell of, with what arrived in them.
    fn arrivals(&self, project: &Project, messages: Vec<Message>) -> Result<Arrivals> {
        let mut arrivals = Arrivals::new();
        for message in messages {
            match message {
                Message::CatalogUpdated(update) if update.arrivals.is_empty() => add(&mut arrivals, update.table, None),
                Message::CatalogUpdated(update) => {
                    let objects = update.arrivals.into_iter().map(|arrival| arrival.object).collect();
                    add(&mut arrivals, update.table, Some(objects));
                }
                Message::RunSucceeded(run) => add(&mut arrivals, run.receipt.transform, None),
                Message::Object(object) => {
                    expected(&object, &self.buckets, None)?;
                    for key in object.keys.all() {
                        let url = format!("s3://{}/{key}", object.bucket);
                        let table = self.table_of(&url)?;
                        add(&mut arrivals, table, Some(BTreeSet::from([url])));
                    }
                }
                Message::Crawler(crawler) if crawler.has_succeeded() => {
                    let read = project.transforms().iter().flat_map(|transform| &transform.inputs);
                    let sources = read.filter(|input| project.transform(&input.name).is_none());
                    sources.for_each(|input| add(&mut arrivals, input.name.clone(), None));
                }
                other => tracing::info!(?other, "nothing to run"),
            }
        }
        arrivals.retain(|table, _| !project.downstream(table).is_empty());
        Ok(arrivals)
    }

    fn table_of(&self, url: &str) -> Result<TableName> {
        let place = self.landing.iter().find(|landing| landing.root.relative(url).is_some());
        match place {
            Some(landing) => landing.engine.table_of(url).map_err(|error| error.in_object(url, None)),
            None => Err(Error::new(Code::MisplacedObject, "the object lies outside the landing places")
                .help("name objects below them, as `<database>/<table>/…`")
                .in_object(url, None)),
        }
    }

    /// Runs the transforms that read what arrived, once for all messages of a group.
    async fn run(
        &self,
        project: &Project,
        group: &[(usize, Arrivals)],
        stamp: &Stamp,
        items: &[Item],
    ) -> Vec<(usize, Fate)> {
        let mut all = Arrivals::new();
        for (table, arrived) in group.iter().flat_map(|(_, arrivals)| arrivals) {
            let objects = match arrived {
                Arrived::Objects(urls) => Some(urls.clone()),
                Arrived::Anything => None,
            };
            add(&mut all, table.clone(), objects);
        }
        let failed = |error: Error| group.iter().map(|(item, _)| (*item, Err(error.copy()))).collect();
        let reading = all.keys().flat_map(|table| project.downstream(table));
        let names: BTreeSet<TableName> = reading.map(|transform| transform.target.clone()).collect();
        let checked = match self.engine.check(&project.cut_down_to(&names)).await {
            Ok(checked) => checked.without_full_refresh(),
            Err(error) => return failed(error),
        };
        let again = group.iter().any(|(item, _)| items[*item].is_again());
        let asked = Asked::Arrived { tables: all.clone(), again };
        let mut outcomes = self.engine.run(project, &checked, &names, &asked, stamp, &|_| {}).await;
        // A transform with errors has no outcome of its own.
        for error in checked.errors {
            let name = error.transform.as_deref().and_then(|name| TableName::try_from(name.to_owned()).ok());
            if let Some(transform) = name.filter(|name| names.contains(name)) {
                outcomes.push(Outcome { transform, runs: vec![Err(error)], waits_for: None });
            }
        }
        let mut told = Ok(());
        for error in outcomes.iter().flat_map(|outcome| &outcome.runs).filter_map(|run| run.as_ref().err()) {
            if told.is_ok() && is_worth_telling(error, again) {
                told = self.tell(error, stamp, &all).await;
            }
        }
        if let Err(error) = told {
            return failed(error);
        }
        group.iter().map(|(item, arrivals)| (*item, fate(project, arrivals, group.len() > 1, &outcomes))).collect()
    }

    async fn tell(&self, error: &Error, stamp: &Stamp, all: &Arrivals) -> Result<()> {
        let tables: Vec<String> = all.keys().map(ToString::to_string).collect();
        let at = stamp.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        self.bus.put(vec![announce::failed(error, at, json!({ "tables": tables }))?]).await
    }
}

/// Adds objects of a table; `None` is whatever is new in it.
fn add(arrivals: &mut Arrivals, table: TableName, objects: Option<BTreeSet<String>>) {
    let known = arrivals.remove(&table);
    let sum = match (known, objects) {
        (Some(Arrived::Anything), _) | (_, None) => Arrived::Anything,
        (Some(Arrived::Objects(mut known)), Some(objects)) => {
            known.extend(objects);
            Arrived::Objects(known)
        }
        (None, Some(objects)) => Arrived::Objects(objects),
    };
    arrivals.insert(table, sum);
}

/// Whether people should hear of an error: of what another try may mend they need not, and of what only they can mend once.
fn is_worth_telling(error: &Error, again: bool) -> bool {
    match error.kind() {
        Kind::Retry => false,
        Kind::Environment | Kind::Internal => !again,
        Kind::Data | Kind::Project => is_permanent(error),
    }
}

/// What became of a message, by the outcomes of the transforms that read its tables. Of one that was run together with others it
/// may be unknown whether it is at fault.
fn fate(project: &Project, own: &Arrivals, is_together: bool, outcomes: &[Outcome]) -> Fate {
    let reading: BTreeSet<&TableName> =
        own.keys().flat_map(|table| project.downstream(table)).map(|transform| &transform.target).collect();
    let mut fate = Ok(());
    for outcome in outcomes.iter().filter(|outcome| reading.contains(&outcome.transform)) {
        let has_gone_on = outcome.runs.iter().any(Result::is_ok);
        for error in outcome.runs.iter().filter_map(|run| run.as_ref().err()) {
            let object = error.object.as_ref().map(|place| place.object.as_str());
            let is_own = object.is_some_and(|object| has(own, object));
            // The run went on without an object that another message told of.
            if has_gone_on && object.is_some() && !is_own {
                continue;
            }
            let of_one = if is_together && !is_own && is_permanent(error) {
                let message = format!("a run with what other messages brought failed: {error}");
                Error::new(Code::Conflict, message).help("it is run by itself next")
            } else {
                error.copy()
            };
            fate = worse(fate, Err(of_one));
        }
        if let Some(upstream) = &outcome.waits_for {
            let message = format!("`{}` waits for `{upstream}`, which failed", outcome.transform);
            fate = fate.and(Err(Error::new(Code::Conflict, message).help("it is run once that one is mended")));
        }
    }
    fate
}

fn has(arrivals: &Arrivals, object: &str) -> bool {
    arrivals.values().any(|arrived| matches!(arrived, Arrived::Objects(urls) if urls.contains(object)))
}
