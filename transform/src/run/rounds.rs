//! Runs what is due, and looks again where another worker was faster.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::try_join;
use object_store::ObjectStore;

use super::{ATTEMPTS, Runner, State, changed_all_the_time};
use crate::ahead::ReadAhead;
use crate::base::Newest;
use crate::due::{self, Due, Listing, Sought};
use crate::engine::Asked;
use crate::error::Result;
use crate::receipt::Receipt;
use crate::record::{Intent, Work};
use crate::settings::WriteMode;
use crate::table::Table;

/// Objects that are fetched before they are claimed.
const READ_EARLY: usize = 16;

impl Runner<'_> {
    /// Runs what is due; objects that are refused are errors beside the runs.
    pub(super) async fn run_due(&self) -> Vec<Result<Receipt>> {
        let mut outcomes = Vec::new();
        if let Err(error) = self.rounds(&mut outcomes).await {
            outcomes.push(Err(error));
        }
        outcomes
    }

    async fn rounds(&self, outcomes: &mut Vec<Result<Receipt>>) -> Result<()> {
        let (mut due, mut state) = self.due(self.known).await?;
        if !due.open.is_empty() {
            outcomes.extend(self.carry_all_on(&due.open.into_iter().collect::<Vec<_>>()).await);
            (due, state) = self.due(None).await?;
        }
        outcomes.extend(due.refused.drain(..).map(|mut error| {
            // The ledger names objects of the data folder relative to it.
            if let Some(place) = error.object.as_mut().filter(|place| !place.object.contains("://")) {
                place.object = self.root.absolute(&place.object);
            }
            Err(error)
        }));
        let mut number = 0;
        for _ in 0..ATTEMPTS {
            // The first run starts from what was seen; it changes what the others start from.
            let mut first = Some(state);
            let mut overtaken = false;
            for (work, inputs) in due.runs {
                let run_id = self.stamp.run_id(&self.transform.target, number);
                number += 1;
                let makes_anew = matches!(work, Work::Rebuild(_));
                let intent = Intent { run_id: run_id.clone(), work, at: self.stamp.at, inputs };
                let outcome = self.begin(intent, first.take()).await;
                let is_own = matches!(&outcome, Ok(Some(receipt)) if receipt.run_id == run_id) || outcome.is_err();
                overtaken |= makes_anew && !is_own;
                outcomes.extend(outcome.transpose());
            }
            if !overtaken || matches!(self.asked, Asked::Rebuild) {
                return Ok(());
            }
            // Whoever was faster may have seen less of the inputs, and nobody else looks again.
            (due, state) = self.due(None).await?;
            due.runs.retain(|(work, _)| matches!(work, Work::Rebuild(_)));
        }
        Err(changed_all_the_time())
    }

    async fn due(&self, known: Option<&Table>) -> Result<(Due, Box<State>)> {
        let objects = self.objects();
        let state = self.state(self.stamp.at, objects.as_ref(), known).await?;
        let (ledger, transform, write) = (&self.ledger, self.transform, self.planned.write);
        let (listing, version) = (&state.listing, state.base.number);
        let due = if matches!(self.asked, Asked::Rebuild) {
            due::everything(ledger, transform, write, listing, version).await
        } else {
            due::due(ledger, transform, write, listing, version, state.base.basis(), objects.as_ref()).await
        };
        Ok((due?, state))
    }

    /// What a run with this `now()` starts from; of the driving table only the objects that are asked for, where it is not all.
    /// `known` is the target as it was just now, if it was read.
    pub(super) async fn state(
        &self,
        now: DateTime<Utc>,
        objects: Option<&BTreeSet<String>>,
        known: Option<&Table>,
    ) -> Result<Box<State>> {
        let publisher = self.publisher().of_others();
        loop {
            // The version is known before the inputs are listed, so that whoever knows a newer version knows newer inputs.
            let newest = Newest::find(&publisher).await?;
            let listed = async {
                let listing = self.list(now, objects).await?;
                let store = self.read_early(&listing, objects);
                Ok((listing, store))
            };
            let (base, (listing, store)) = try_join(newest.base(&publisher, known), listed).await?;
            if let Some(base) = base {
                return Ok(Box::new(State { base, listing, store }));
            }
        }
    }

    pub(super) async fn list(&self, now: DateTime<Utc>, objects: Option<&BTreeSet<String>>) -> Result<Listing> {
        let sought = Sought::of(self.transform, self.planned, Some(now), objects);
        due::list(self.root, self.catalog, self.transform, self.sources, &sought).await
    }

    /// Where objects are read. Of those that are asked for, the first are fetched from now on if they are small, while it is found
    /// out which of them are new, and they are claimed. If others turn out to have them, that was for nothing.
    fn read_early(&self, listing: &Listing, objects: Option<&BTreeSet<String>>) -> Arc<dyn ObjectStore> {
        let store = Arc::clone(self.root.store());
        let Some(objects) = objects.filter(|_| self.planned.write != WriteMode::Overwrite) else { return store };
        let driving = self.transform.driving.as_ref().and_then(|driving| listing.get(driving));
        let arrived = driving.into_iter().flat_map(|input| &input.objects);
        let asked = arrived.filter(|object| objects.contains(&object.arrival.object)).map(|object| &object.meta);
        let ahead = ReadAhead::new(store, asked.take(READ_EARLY), self.limits.memory);
        ahead.start();
        Arc::new(ahead)
    }

    async fn begin(&self, intent: Intent, state: Option<Box<State>>) -> Result<Option<Receipt>> {
        self.ledger.put_intent(&intent).await?;
        self.pursue(intent, state).await
    }
}
