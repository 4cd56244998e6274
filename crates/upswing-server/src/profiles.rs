//! People's profiles, as far as deciding needs them: in memory, bounded, followed by position.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use upswing_domain::{AgentId, Context, ContextValue, OrganisationId, Pseudonym, Timestamp};
use upswing_learn::stream::Profile;

/// How many are kept. The one that was put in first goes first.
pub(crate) const REMEMBERED: usize = 100_000;

type Key = (OrganisationId, AgentId, Pseudonym);

/// The profiles of people who were seen lately.
#[derive(Debug, Default)]
pub(crate) struct Profiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// With when something was added last.
    by_person: HashMap<Key, (Arc<Profile>, Timestamp)>,
    order: VecDeque<Key>,
}

impl Profiles {
    /// Puts a profile in place.
    pub(crate) fn put(&self, key: Key, profile: Profile, updated_at: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_person.insert(key, (Arc::new(profile), updated_at)).is_some() {
            return;
        }
        kept.order.push_back(key);
        if kept.order.len() > REMEMBERED
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_person.remove(&oldest);
        }
    }

    /// A person's profile.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Profile>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_person.get(key).map(|(profile, _)| Arc::clone(profile))
    }

    /// Forgets those that nothing was added to since a moment.
    pub(crate) fn forget(&self, before: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { by_person, order } = &mut *kept;
        by_person.retain(|_, (_, updated_at)| *updated_at >= before);
        order.retain(|key| by_person.contains_key(key));
    }
}

/// The context with what is known of the person: `profile_engagement` and `profile_interest`. What the client says itself
/// stands, and a context that is full stays as it is.
pub(crate) fn enriched(context: Option<Context>, profile: &Profile) -> Option<Context> {
    let mut values: std::collections::BTreeMap<String, ContextValue> =
        context.iter().flat_map(Context::iter).map(|(key, value)| (key.to_owned(), value.clone())).collect();
    values
        .entry("profile_engagement".to_owned())
        .or_insert(ContextValue::Number((profile.engagement * 1e4).round() / 1e4));
    if let Some(interest) = profile.interest() {
        values.entry("profile_interest".to_owned()).or_insert(ContextValue::Category(interest.to_owned()));
    }
    Context::new(values).ok().or(context)
}
