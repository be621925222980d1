//! What is desired, in little room: nearly all of a full table are routes that say a nexthop's number and nothing else.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use platform::kernel::{Key, Object, Route, Via};

/// Objects by their keys.
#[derive(Debug, Default)]
pub(super) struct Desired(HashMap<Key, Kept, RandomState>);

#[derive(Debug)]
enum Kept {
    /// The rest follows from the key.
    RouteBy {
        nexthop: u32,
    },
    Other(Box<Object>),
}

impl Desired {
    pub(super) fn insert(&mut self, key: Key, object: Object) {
        self.0.insert(key, Kept::of(&key, object));
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        self.0.remove(key).is_some()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Object> {
        self.0.get(key).map(|kept| kept.object(key))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, Object)> {
        self.0.iter().map(|(key, kept)| (key, kept.object(key)))
    }
}

impl Kept {
    fn of(key: &Key, object: Object) -> Self {
        match &object {
            Object::Route(Route { via: Via::Nexthop(nexthop), .. })
                if plain_route(key, *nexthop).as_ref() == Some(&object) =>
            {
                Self::RouteBy { nexthop: *nexthop }
            }
            _ => Self::Other(Box::new(object)),
        }
    }

    fn object(&self, key: &Key) -> Object {
        match self {
            Self::Other(object) => (**object).clone(),
            // Made from an object of this key that was equal to it.
            Self::RouteBy { nexthop } => plain_route(key, *nexthop)
                .unwrap_or_else(|| unreachable!("only routes are kept by their nexthop")),
        }
    }
}

fn plain_route(key: &Key, nexthop: u32) -> Option<Object> {
    let Key::Route { table, prefix, metric } = *key else { return None };
    Some(Object::Route(Route { table, ..Route::new(prefix, metric, Via::Nexthop(nexthop)) }))
}

#[cfg(test)]
mod tests {
    use platform::kernel::{Hop, RouteKind};

    use super::*;

    #[test]
    fn what_was_put_in_comes_out_and_a_route_of_a_full_table_takes_little_room() {
        let by_nexthop = Route::new("10.0.0.0/24".parse().unwrap(), 20, Via::Nexthop(7));
        let others = [
            Route { kind: RouteKind::Blackhole, ..by_nexthop.clone() },
            Route { via: Via::Hops(vec![Hop::device(3)]), ..by_nexthop.clone() },
            Route { table: 1000, ..by_nexthop.clone() },
        ];
        for route in others.into_iter().chain([by_nexthop]) {
            let object = Object::Route(route);
            let mut desired = Desired::default();
            desired.insert(object.key(), object.clone());
            assert_eq!(desired.get(&object.key()), Some(object));
        }
        assert!(size_of::<Kept>() <= 16);
    }
}
