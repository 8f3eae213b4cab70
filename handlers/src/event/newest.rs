//! Of what happened to each key, the newest: what a batch of messages comes down to.

use std::collections::{HashMap, HashSet};

use super::key::KeyCandidates;
use super::object::{Change, ObjectEvent};
use super::sequencer::Sequencer;

/// For each bucket and key only the event with the highest sequencer, in the order in which they came.
///
/// Events without a sequencer (a replay, a restore) cannot be ordered: each is kept unless another says the same. That one
/// *version* was removed never hides what else is known of the key: it may be an old one, cleaned up after the new one came.
pub fn newest(events: Vec<ObjectEvent>) -> Vec<ObjectEvent> {
    let mut by_key: HashMap<(&str, &KeyCandidates), Vec<usize>> = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        by_key.entry((&event.bucket, &event.keys)).or_default().push(index);
    }
    let kept: HashSet<usize> = by_key.values().flat_map(|indexes| newest_of_key(&events, indexes)).collect();
    events.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, event)| event).collect()
}

/// Which of the events of one key are kept.
fn newest_of_key(events: &[ObjectEvent], indexes: &[usize]) -> Vec<usize> {
    let of_version = |index: &usize| events[*index].kind == Change::VersionRemoved;
    let (of_versions, of_object): (Vec<usize>, Vec<usize>) = indexes.iter().partition(|index| of_version(index));
    if of_object.is_empty() {
        return highest(events, &of_versions).into_iter().collect();
    }
    let (ordered, unordered): (Vec<usize>, Vec<usize>) =
        of_object.into_iter().partition(|index| events[*index].sequencer.is_some());
    let mut said: HashSet<_> = ordered.iter().map(|index| content(&events[*index])).collect();
    let unsaid = unordered.into_iter().filter(|index| said.insert(content(&events[*index])));
    highest(events, &ordered).into_iter().chain(unsaid).collect()
}

/// The event with the highest sequencer; the first of several, which are duplicates.
fn highest(events: &[ObjectEvent], indexes: &[usize]) -> Option<usize> {
    let order = |index: usize| -> Option<&Sequencer> { events[index].sequencer.as_ref() };
    indexes.iter().copied().reduce(|best, index| if order(index) > order(best) { index } else { best })
}

/// What an event says of an object.
fn content(event: &ObjectEvent) -> (Change, Option<&str>, Option<&str>, Option<u64>) {
    (event.kind, event.version.as_deref(), event.etag.as_deref(), event.size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::created;
    use super::*;

    fn event(key: &str, kind: Change, sequencer: &str, etag: &str) -> ObjectEvent {
        let sequencer = Sequencer::new(sequencer);
        ObjectEvent { kind, sequencer, etag: Some(etag.to_owned()), ..created(key) }
    }

    fn put(key: &str, sequencer: &str, etag: &str) -> ObjectEvent {
        event(key, Change::Created, sequencer, etag)
    }

    #[test]
    fn duplicates_collapse_and_late_ones_are_dropped() {
        let (old, new, other) = (put("a", "05", "old"), put("a", "0501", "new"), put("b", "01", "x"));
        let batch = vec![new.clone(), other.clone(), old.clone(), new.clone(), old.clone(), other.clone()];
        assert_eq!(newest(batch), [new, other]);
        assert_eq!(newest(vec![]), []);
    }

    #[test]
    fn what_is_removed_last_is_removed() {
        let (put_first, removed) = (put("a", "01", "x"), event("a", Change::Removed, "02", ""));
        let put_again = put("a", "03", "x");
        assert_eq!(newest(vec![removed.clone(), put_first.clone()]), vec![removed.clone()]);
        assert_eq!(newest(vec![put_again.clone(), removed, put_first]), [put_again]);
    }

    #[test]
    fn the_clean_up_of_an_old_version_does_not_hide_the_new_one() {
        let (new, cleaned) = (put("a", "02", "new"), event("a", Change::VersionRemoved, "03", ""));
        assert_eq!(newest(vec![new.clone(), cleaned.clone()]), vec![new.clone()]);
        assert_eq!(newest(vec![cleaned.clone(), new.clone()]), [new]);
        assert_eq!(newest(vec![cleaned.clone(), cleaned.clone()]), [cleaned]);
    }

    #[test]
    fn without_a_sequencer_only_repetitions_are_dropped() {
        let (first, second) = (put("a", "01", "x"), put("a", "02", "y"));
        let (replay_of_first, replay) = (put("a", "", "x"), put("a", "", "z"));
        let batch = vec![replay.clone(), replay_of_first.clone(), first.clone(), second.clone(), replay.clone()];
        assert_eq!(newest(batch), [replay, second]);
        assert_eq!(newest(vec![replay_of_first.clone(), replay_of_first.clone()]), [replay_of_first]);
    }

    #[test]
    fn buckets_have_keys_of_their_own() {
        let (one, mut other) = (put("a", "01", "x"), put("a", "02", "y"));
        other.bucket = "other".into();
        assert_eq!(newest(vec![one.clone(), other.clone()]), [one, other]);
    }

    fn any_event() -> impl Strategy<Value = ObjectEvent> {
        let kind =
            prop::sample::select(vec![Change::Created, Change::Removed, Change::VersionRemoved, Change::Restored]);
        // The etag follows the sequencer, as S3 gives one sequencer to one event only.
        ("[ab]", kind, "[12]{0,2}")
            .prop_map(|(key, kind, order)| event(&key, kind, &order, &format!("{kind:?}{order}")))
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_changes_what_is_kept(
            (events, shuffled) in prop::collection::vec(any_event(), 0..12)
                .prop_map(|mut events| {
                    // One event for one sequencer of a key.
                    let mut seen = HashSet::new();
                    events.retain(|event| match &event.sequencer {
                        Some(order) => seen.insert((event.keys.clone(), order.clone())),
                        None => true,
                    });
                    events
                })
                .prop_flat_map(|events| {
                    let twice = [events.clone(), events.clone()].concat();
                    (Just(events), Just(twice).prop_shuffle())
                })
        ) {
            let sorted = |events: Vec<ObjectEvent>| {
                let mut texts: Vec<String> = newest(events).iter().map(|event| format!("{event:?}")).collect();
                texts.sort();
                texts
            };
            prop_assert_eq!(sorted(events.clone()), sorted(shuffled));
            let kept = newest(events.clone());
            prop_assert_eq!(newest(kept.clone()), kept.clone(), "nothing more to drop");
            for event in &events {
                let rival = |kept: &&ObjectEvent| kept.keys == event.keys;
                prop_assert!(kept.iter().any(|kept| rival(&kept)), "every key is still there");
                if event.kind != Change::VersionRemoved && event.sequencer.is_some() {
                    prop_assert!(kept.iter().filter(rival).any(|kept| kept.sequencer >= event.sequencer));
                }
            }
        }
    }
}
