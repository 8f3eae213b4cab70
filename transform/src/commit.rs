//! The commit record of a run: pure, from what it set out from and what its execution gave.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrival::ArrivalId;
use crate::base::{Base, Target};
use crate::error::Result;
use crate::execute::Executed;
use crate::inputs::Input;
use crate::plan::Planned;
use crate::receipt::{Receipt, ReceiptPartition};
use crate::record::{Arriving, Basis, Commit, Intent, Swap};
use crate::registration::register;
use crate::settings::WriteMode;
use crate::table::Partition;
use crate::transform::Transform;
use crate::write::{PartitionValues, WrittenFile};

/// A run that was executed.
pub(crate) struct Outcome<'a> {
    pub(crate) transform: &'a Transform,
    pub(crate) planned: &'a Planned,
    pub(crate) intent: &'a Intent,
    /// The inputs that were there.
    pub(crate) inputs: Vec<Arriving>,
    /// Those that were not.
    pub(crate) superseded: Vec<String>,
    pub(crate) target: &'a Target,
    pub(crate) base: &'a Base,
    /// The files of the table from before, where the run replaces any.
    pub(crate) former: Option<Input>,
    pub(crate) replaces: bool,
    /// The arrivals whose rows are in the files of a run that replaces.
    pub(crate) accounted: BTreeSet<ArrivalId>,
    /// Records that were left out, and where they are.
    pub(crate) rejected: u64,
    pub(crate) quarantine: Option<String>,
    /// From the claim to the end of the execution.
    pub(crate) seconds: f64,
}

impl Outcome<'_> {
    /// # Errors
    /// [`crate::Code::ForeignTable`], [`crate::Code::SchemaChanged`].
    pub(crate) fn commit(self, executed: Executed, nonce: String) -> Result<Commit> {
        let write = self.write();
        let planned = self.planned;
        let mut table = register(
            self.base.table.clone(),
            self.transform,
            &planned.columns,
            &planned.partition_keys,
            write,
            self.target.location.clone(),
        )?;
        if planned.partition_keys.is_empty() {
            table.location = self.target.folder(&[]);
        }
        let written = self.written(&executed.files);
        let partitions: Vec<Partition> = written
            .iter()
            .filter(|(values, _)| !values.is_empty())
            .map(|(values, entry)| Partition {
                values: values.clone(),
                location: entry.location.clone(),
                parameters: BTreeMap::new(),
            })
            .collect();
        let swap = self.replaces.then(|| self.swap(executed.touched.as_ref(), &partitions));
        let receipt = Receipt {
            run_id: self.intent.run_id.clone(),
            transform: self.transform.target.clone(),
            file: self.transform.file.path.clone(),
            write,
            at: self.intent.at,
            inputs: self.inputs.into_iter().map(|arriving| arriving.input).collect(),
            superseded: self.superseded,
            rows_read: executed.rows_read,
            rejected: self.rejected,
            quarantine: self.quarantine,
            rows: written.values().map(|partition| partition.rows).sum(),
            files: executed.files.len() as u64,
            bytes: written.values().map(|partition| partition.bytes).sum(),
            partitions: written.into_values().collect(),
            checks: executed.checks,
            seconds: self.seconds,
            peak_memory: executed.peak_memory,
        };
        Ok(Commit { nonce, table, partitions, files: executed.files, base: self.base.number, swap, receipt })
    }

    fn write(&self) -> WriteMode {
        if self.intent.rebuild().is_some() { WriteMode::Overwrite } else { self.planned.write }
    }

    fn written(&self, files: &[WrittenFile]) -> BTreeMap<PartitionValues, ReceiptPartition> {
        let mut written: BTreeMap<PartitionValues, ReceiptPartition> = BTreeMap::new();
        for file in files {
            let keys = self.planned.partition_keys.iter().map(|key| key.name.clone());
            let entry = written.entry(file.partition.clone()).or_insert_with(|| ReceiptPartition {
                values: keys.zip(file.partition.iter().cloned()).collect(),
                location: self.target.folder(&file.partition),
                files: 0,
                rows: 0,
                bytes: 0,
            });
            entry.files += 1;
            entry.rows += file.rows;
            entry.bytes += file.staged.size;
        }
        written
    }

    /// What the run replaces: some partitions, or with no `touched` all of the table.
    fn swap(&self, touched: Option<&BTreeSet<PartitionValues>>, written: &[Partition]) -> Swap {
        let is_partitioned = !self.planned.partition_keys.is_empty();
        let whole = touched.is_none() || !is_partitioned;
        let is_replaced = |values: &PartitionValues| whole || touched.is_some_and(|touched| touched.contains(values));
        let from = match &self.base.table {
            Some(table) if table.partition_keys.is_empty() => {
                vec![Partition { values: Vec::new(), location: table.location.clone(), parameters: BTreeMap::new() }]
            }
            _ => self.base.partitions.iter().filter(|partition| is_replaced(&partition.values)).cloned().collect(),
        };
        let absorbed = self
            .former
            .iter()
            .flat_map(|former| &former.objects)
            .filter(|object| is_replaced(&object.partition))
            .filter_map(|object| object.meta.location.filename().map(str::to_owned))
            .collect();
        let written: BTreeSet<&PartitionValues> = written.iter().map(|partition| &partition.values).collect();
        let vanished = match touched {
            Some(touched) if is_partitioned => touched.iter().filter(|v| !written.contains(v)).cloned().collect(),
            _ => Vec::new(),
        };
        let basis = match self.intent.rebuild() {
            Some(rebuild) => {
                let version = self.base.number + 1;
                Some(Basis { run_id: self.intent.run_id.clone(), version, fingerprint: rebuild.fingerprint.clone() })
            }
            None => self.base.basis().cloned(),
        };
        Swap {
            from,
            whole,
            // Other ways read the table, or decide by it.
            commutes: !whole && self.planned.write == WriteMode::OverwritePartitions,
            vanished,
            absorbed,
            accounted: self.accounted.clone(),
            basis,
        }
    }
}
