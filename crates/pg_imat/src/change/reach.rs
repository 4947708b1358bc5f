//! Which maintained tables the pending changes reach, and which of those a query needs.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::catalog::cache::{self, Maintained};

/// These maintained tables, and those over them: all that a flush of these would write.
pub fn over(readers: BTreeSet<u32>) -> Vec<Rc<Maintained>> {
    let mut reached: BTreeMap<u32, Rc<Maintained>> = BTreeMap::new();
    let mut next: Vec<u32> = readers.into_iter().collect();
    while let Some(reader) = next.pop() {
        let maintained = cache::maintained(reader);
        let state = maintained.entry.state;
        if reached.insert(reader, maintained).is_none() {
            next.extend(cache::readers(state).iter());
        }
    }
    reached.into_values().collect()
}

/// Those of the reached maintained tables whose state `is_read`, and those below them, from which they are computed.
pub fn needed(mut reached: Vec<Rc<Maintained>>, is_read: impl Fn(u32) -> bool) -> BTreeSet<u32> {
    reached.sort_by_key(|maintained| std::cmp::Reverse(maintained.entry.depth));
    let (mut needed, mut bases) = (BTreeSet::new(), BTreeSet::<u32>::new());
    for maintained in &reached {
        if is_read(maintained.entry.state) || bases.contains(&maintained.entry.state) {
            needed.insert(maintained.entry.name);
            bases.extend(&maintained.bases);
        }
    }
    needed
}
