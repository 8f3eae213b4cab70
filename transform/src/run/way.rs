//! How the rows of a run come about: by how its transform writes, and by what its arrivals replace.

use std::collections::BTreeSet;

use super::Runner;
use crate::arrival::{ArrivalId, ClaimName};
use crate::base::Base;
use crate::due::{self, Former, Listing};
use crate::error::Result;
use crate::execute::Way;
use crate::inputs::Input;
use crate::receipt::{Receipt, ReceiptPartition};
use crate::record::{Arriving, Intent};
use crate::settings::{ChangedInput, WriteMode};
use crate::write::PartitionValues;

impl Runner<'_> {
    /// How the rows of a run come about.
    pub(super) async fn way(
        &self,
        intent: &Intent,
        present: &[Arriving],
        base: &mut Base,
        former: Option<Input>,
    ) -> Result<Way> {
        let write = self.planned.write;
        if intent.rebuild().is_some() {
            return Ok(if write == WriteMode::Merge { Way::Merge { target: None, all: true } } else { Way::All });
        }
        match write {
            WriteMode::Merge => Ok(Way::Merge { target: former, all: false }),
            WriteMode::OverwritePartitions => Ok(Way::Partitions { also: self.touched_before(present, base).await? }),
            WriteMode::Append | WriteMode::Overwrite => {
                if self.transform.settings.changed_input.value != ChangedInput::Replace {
                    return Ok(Way::Arrivals);
                }
                let replaced = self.replaced(present, base).await?;
                if !replaced.any {
                    return Ok(Way::Arrivals);
                }
                // The runs of the former versions may have ended since the base was read, and brought the table, or partitions.
                base.look_again(self.catalog, &self.transform.target).await?;
                let Some(target) = base.files(self.root).await? else { return Ok(Way::Arrivals) };
                let replacing = present.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect();
                // Rows stay in their partition until the table is rebuilt: they need not be looked for in others.
                let among = replaced.is_known.then_some(replaced.partitions);
                Ok(Way::Correct { target, replacing, among })
            }
        }
    }

    /// The partitions that the former versions of arrivals can have changed, those included that got no row; `None` if not all
    /// of them are known.
    async fn touched_before(&self, present: &[Arriving], base: &Base) -> Result<Option<BTreeSet<PartitionValues>>> {
        let replaced = self.replaced(present, base).await?;
        if !replaced.is_known {
            return Ok(None);
        }
        let mut touched = replaced.partitions;
        for run_id in replaced.runs {
            match self.ledger.commit(&run_id).await?.and_then(|commit| commit.swap) {
                Some(swap) if !swap.whole => touched.extend(swap.vanished),
                _ => return Ok(None),
            }
        }
        Ok(Some(touched))
    }

    /// What the arrivals replace that was processed before.
    async fn replaced(&self, present: &[Arriving], base: &Base) -> Result<Replaced> {
        let own: Vec<ClaimName> = present.iter().map(Arriving::claim_name).collect();
        // A folder replaces what lies in it.
        let claims = if own.iter().any(|own| own.arrival.is_folder()) {
            self.ledger.claims().await?
        } else {
            self.ledger.claims_of(&present.iter().map(|arriving| arriving.input.object.clone()).collect()).await?
        };
        let earlier = own.iter().flat_map(|own| claims.replaced_by(&own.arrival).filter(move |claim| *claim != own));
        let formers = due::formers(&self.ledger, earlier, base.basis()).await?;
        let read: Vec<&Option<Box<Receipt>>> = formers
            .iter()
            .filter_map(|former| match former {
                Former::Read(receipt) => Some(receipt),
                Former::UnderWay(_) | Former::Unread => None,
            })
            .collect();
        let keys = &self.planned.partition_keys;
        let values = |partition: &ReceiptPartition| -> PartitionValues {
            keys.iter().map(|key| partition.values.get(&key.name).cloned().flatten()).collect()
        };
        let partitions = read.iter().copied().flatten().flat_map(|receipt| &receipt.partitions).map(values).collect();
        let runs = read.iter().copied().flatten().map(|receipt| receipt.run_id.clone()).collect();
        Ok(Replaced { any: !read.is_empty(), is_known: read.iter().all(|receipt| receipt.is_some()), partitions, runs })
    }

    /// The arrivals whose rows are in the new files of a run that replaces, if they are anywhere.
    pub(super) fn accounted(&self, way: &Way, listing: &Listing, present: &[Arriving]) -> BTreeSet<ArrivalId> {
        let driving = self.transform.driving.as_ref().and_then(|driving| listing.get(driving));
        match (way, driving) {
            (Way::Arrivals, _) => BTreeSet::new(),
            (Way::Partitions { .. }, Some(driving)) => driving.arrivals().map(|a| ArrivalId::of(a)).collect(),
            _ => present.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect(),
        }
    }
}

/// What was processed before of what arrives again.
struct Replaced {
    any: bool,
    /// Whether the partitions of all of it are known.
    is_known: bool,
    /// The partitions that were written then.
    partitions: BTreeSet<PartitionValues>,
    /// The runs that did.
    runs: BTreeSet<String>,
}
