//! Which arrivals belong to a run.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::Runner;
use crate::arrival::ArrivalId;
use crate::due::{self, Listing};
use crate::error::Result;
use crate::receipt::ReceiptInput;
use crate::record::{Arriving, Done, Intent, Work, first_of};

/// Claims that are made at a time: each is one small request, and a prefix of S3 takes 3,500 a second.
const CLAIMS_AT_ONCE: usize = 64;

/// What a rebuild reads.
pub(super) struct Everything {
    pub(super) inputs: Vec<Arriving>,
    /// The objects that lie in the source.
    pub(super) listing: Listing,
    /// Arrivals whose rows are not to be added to what the rebuild makes, whether it has them or what came in their place: files with
    /// them may have become visible since the table's were listed.
    pub(super) settled: BTreeSet<ArrivalId>,
}

impl Runner<'_> {
    /// Binds the inputs to the run; those that belong to another are left to it.
    pub(super) async fn claimed(&self, intent: &Intent) -> Result<Vec<Arriving>> {
        // Claims are made in the name of the first run; its successors inherit them.
        let first = first_of(&intent.run_id);
        let owners = self.claim(&intent.inputs, first).await?;
        let ours = intent.inputs.iter().zip(owners).filter(|(_, owner)| owner == first);
        Ok(ours.map(|(arriving, _)| arriving.clone()).collect())
    }

    /// The listing without arrivals of the driving table that no run has processed, but for the run's own: whoever processes
    /// one knows which partitions it has changed, which is needed when it comes again with other content.
    ///
    /// What a run has committed counts as processed, though it may not have ended: its rows may be visible by now, and must not be
    /// left out of a partition that replaces them. If they are not, one of the two runs gives way and is done anew.
    pub(super) async fn processed(&self, intent: &Intent, own: &[Arriving], listing: Listing) -> Result<Listing> {
        let claims = self.ledger.claims().await?;
        let mut under_way = BTreeSet::new();
        for run_id in self.ledger.open_runs().await?.iter().filter(|run_id| **run_id != intent.run_id) {
            if self.ledger.commit(run_id).await?.is_some() {
                continue;
            }
            for arriving in self.ledger.intent(run_id).await?.into_iter().flat_map(|other| other.inputs) {
                if let Some((_, None)) = self.ledger.run_of(&arriving.claim_name()).await? {
                    under_way.insert(ArrivalId::of(&arriving.input));
                }
            }
        }
        let Some(driving) = self.transform.driving.as_ref().and_then(|driving| listing.get(driving)) else {
            return Ok(listing);
        };
        let is_processed = |input: &ReceiptInput| {
            let id = ArrivalId::of(input);
            claims.is_newest(&id) && !under_way.contains(&id)
        };
        let processed = driving.arrivals().filter(|arrival| is_processed(arrival)).map(|a| due::arriving(&claims, a));
        let known: Vec<Arriving> = processed.chain(own.iter().cloned()).collect();
        Ok(due::restrict(self.transform, listing, &known))
    }

    async fn claim(&self, inputs: &[Arriving], run_id: &str) -> Result<Vec<String>> {
        stream::iter(inputs.iter().map(|arriving| async move {
            self.ledger.claim(&arriving.claim_name(), &arriving.input.object, run_id).await
        }))
        .buffered(CLAIMS_AT_ONCE)
        .try_collect()
        .await
    }

    /// What a rebuild reads where arrivals are claimed: its own inputs, and all that runs which are through have processed.
    ///
    /// What it reads must not be added once more afterwards, so runs that are under way are carried on first. Rows of one run
    /// lie in files together, so that of each run it reads all inputs or none. What came since the intent was made is left to
    /// the next run.
    pub(super) async fn claim_everything(&self, intent: &Intent) -> Result<Everything> {
        let first = first_of(&intent.run_id);
        loop {
            // Whoever has a claim has an intent from before: its run had ended by now, or is among those that follow.
            let ended = self.ledger.runs().await?;
            let claims = self.ledger.claims().await?;
            let mut bound = BTreeSet::new();
            for run_id in self.ledger.runs().await?.keys() {
                if ended.get(run_id).is_none_or(|files| files.done.is_none()) {
                    bound.extend(self.carried_on(run_id).await?);
                }
            }
            let new: Vec<Arriving> =
                intent.inputs.iter().filter(|arriving| !claims.contains(&arriving.claim_name())).cloned().collect();
            if self.claim(&new, first).await?.iter().any(|owner| owner != first) {
                continue;
            }
            bound.extend(new.iter().map(|arriving| ArrivalId::of(&arriving.input)));
            // What was bound lay there before; where it is gone or has changed since, its rows go.
            let listing = self.list(intent.at, None).await?;
            let driving = self.transform.driving.as_ref().and_then(|driving| listing.get(driving));
            let is_bound = |input: &ReceiptInput| {
                let id = ArrivalId::of(input);
                claims.is_newest(&id) || bound.contains(&id)
            };
            let inputs = driving.into_iter().flat_map(|driving| driving.arrivals()).filter(|arrival| is_bound(arrival));
            let inputs: Vec<Arriving> = inputs.map(|arrival| due::arriving(&claims, arrival)).collect();
            for arriving in &inputs {
                bound.extend(claims.replaced_by(&ArrivalId::of(&arriving.input)).map(|claim| claim.arrival.clone()));
            }
            return Ok(Everything { inputs, listing, settled: bound });
        }
    }

    /// What a run of arrivals has processed; one that did not end is carried on first.
    async fn carried_on(&self, run_id: &str) -> Result<Vec<ArrivalId>> {
        if !self.ledger.intent(run_id).await?.is_some_and(|intent| intent.work == Work::Arrivals) {
            return Ok(Vec::new());
        }
        let receipt = match self.ledger.done(run_id).await? {
            Some(Done::Succeeded { receipt }) => Some(*receipt),
            Some(Done::Superseded { .. }) => None,
            None => Box::pin(self.carry_on(run_id)).await?,
        };
        Ok(receipt.iter().flat_map(|receipt| &receipt.inputs).map(ArrivalId::of).collect())
    }
}
