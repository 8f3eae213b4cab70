//! Finding what is not as it should be with a table, and putting right what can safely be.
//!
//! The records of the ledger say what the table should be; the catalog says what readers see; a listing says what is there.

mod content;
mod expected;
mod finding;
mod records;
mod schema;

use crate::code::Code;
use crate::error::Result;
use crate::plan::Planned;
use crate::publish::Publisher;
use crate::record::Done;
use crate::table::{PartitionChange, Table, TableName};
use records::Records;

use super::shown::Shown;

pub use finding::{Finding, FindingKind};

/// How often a table is looked at anew because it changed meanwhile, or was repaired.
const ROUNDS: usize = 4;

/// What examines one table.
pub(crate) struct Doctor<'a> {
    pub(crate) publisher: Publisher<'a>,
    /// URL of the table's own folder.
    pub(crate) location: String,
    /// What the SQL gives now; `None` if it has errors.
    pub(crate) planned: Option<&'a Planned>,
}

/// A finding, with what would mend it.
struct Problem {
    finding: Finding,
    repair: Option<Repair>,
}

/// What can be done without a choice to make. Each expects what was seen, and does nothing if it has changed.
enum Repair {
    /// Makes a committed run visible.
    RollForward(String),
    /// Registers or changes the table's definition.
    Table(Box<Table>),
    /// Adds, moves or removes a partition.
    Partition(PartitionChange),
}

/// The problems of a table.
struct Problems<'a> {
    target: &'a TableName,
    found: Vec<Problem>,
}

impl Problem {
    fn new(target: &TableName, kind: FindingKind, place: String, message: String, help: &str) -> Self {
        let finding =
            Finding { kind, transform: target.clone(), place, message, help: help.to_owned(), repaired: None };
        Self { finding, repair: None }
    }
}

impl Doctor<'_> {
    /// # Errors
    /// Those of storage and catalog.
    pub(crate) async fn examine(&self, repair: bool) -> Result<Vec<Finding>> {
        let mut repaired = Vec::new();
        for _ in 0..ROUNDS {
            let mut left = Vec::new();
            let mut is_changed = false;
            for Problem { mut finding, repair: possible } in self.look().await? {
                match possible.filter(|_| repair) {
                    Some(possible) => {
                        finding.repaired = Some(self.repair(possible).await?);
                        repaired.push(finding);
                        is_changed = true;
                    }
                    None => left.push(finding),
                }
            }
            if !is_changed {
                repaired.extend(left);
                return Ok(repaired);
            }
        }
        // Others change the table all the time; what is left is told as it is.
        repaired.extend(self.look().await?.into_iter().map(|problem| problem.finding));
        Ok(repaired)
    }

    async fn repair(&self, repair: Repair) -> Result<String> {
        let publisher = &self.publisher;
        match repair {
            Repair::RollForward(run_id) => {
                let Some(commit) = publisher.ledger.commit(&run_id).await? else {
                    return Ok("nothing was left to do".to_owned());
                };
                Ok(match publisher.roll_forward(&run_id, commit).await? {
                    Done::Succeeded { .. } => "made its rows visible".to_owned(),
                    Done::Superseded { .. } => "gave it up: `unglue run` does its work anew".to_owned(),
                })
            }
            Repair::Table(table) => match publisher.catalog.put_table(&table).await {
                Ok(_) => Ok(format!("the catalog now has the table at {}", table.location)),
                Err(error) if error.code == Code::Conflict => Ok("another process was faster".to_owned()),
                Err(error) => Err(error),
            },
            Repair::Partition(change) => {
                publisher.catalog.change_partitions(publisher.target, std::slice::from_ref(&change)).await?;
                Ok(match change.to {
                    Some(to) => format!("the catalog now has it at {}", to.location),
                    None => "removed it from the catalog".to_owned(),
                })
            }
        }
    }

    /// The problems at one moment: looked for again if runs ended meanwhile.
    async fn look(&self) -> Result<Vec<Problem>> {
        let ledger = self.publisher.ledger;
        for _ in 0..ROUNDS {
            let before = ledger.runs().await?;
            let (mut problems, content) = self.look_once().await?;
            let after = ledger.runs().await?;
            if Records::state(&before) == Records::state(&after) {
                problems.extend(content);
                return Ok(problems);
            }
        }
        // A table that changes all the time cannot be compared with its ledger.
        Ok(self.look_once().await?.0)
    }

    /// What is wrong with records and definition, and what is wrong with the content.
    async fn look_once(&self) -> Result<(Vec<Problem>, Vec<Problem>)> {
        let Publisher { catalog, ledger, target, .. } = self.publisher;
        let mut problems = Problems { target, found: Vec::new() };
        let records = Records::read(ledger, &mut problems).await?;
        let mut is_quiet = true;
        for (run_id, run) in records.runs.iter().filter(|(_, run)| run.files.is_open()) {
            let began =
                run.intent.as_ref().map_or_else(String::new, |intent| intent.at.format(" of %FT%TZ").to_string());
            if run.files.commit.is_some() {
                is_quiet = false;
                let problem = problems.add(
                    FindingKind::RunNotVisible,
                    run_id.clone(),
                    format!("the run{began} is committed, but readers do not see all of it yet"),
                    "if it is not running now, `unglue run` or `unglue doctor --repair` makes it visible",
                );
                problem.repair = run.commit.is_some().then(|| Repair::RollForward(run_id.clone()));
            } else {
                problems.add(
                    FindingKind::RunNotCommitted,
                    run_id.clone(),
                    format!("the run{began} began, and did not end"),
                    "if it is not running now, `unglue run` carries it on, or says why it cannot",
                );
            }
        }
        let shown = Shown::find(catalog, target).await?;
        if let (Some(shown), Some(planned)) = (&shown, self.planned) {
            schema::drift(&shown.table, planned, &mut problems);
        }
        let mut content = Problems { target, found: Vec::new() };
        // Where the ledger is damaged, or a run is just becoming visible, it does not say what the table should be.
        if records.are_whole && is_quiet {
            self.content(&records, shown, &mut content).await?;
        }
        Ok((problems.found, content.found))
    }
}
