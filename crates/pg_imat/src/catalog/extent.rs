//! The size class of a change, for which statements are planned.

use imat_compile::plan::{Fate, Size};

use crate::pg::spi::Reach;

/// A change of this many rows or more is applied by plans that may scan tables.
const LARGE: u64 = 200;

/// A smaller change is too, if some step of its plan is estimated to return this many rows or more. Below that, index
/// scans cost little even at worst, while a plan chosen with outdated statistics could be a scan of a whole table.
const WIDE: u32 = 5_000;

/// The size classes: the least number of rows, and the number of rows that plans are made for.
const EXTENTS: [(u64, u32); 5] = [(0, 10), (LARGE, 800), (3_000, 12_000), (50_000, 200_000), (800_000, 3_000_000)];

/// The size class of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub size: Size,
    /// The rows of a delta that statements are planned for.
    pub expected: u32,
}

impl Extent {
    /// For views that are recomputed whole: the query runs again and is compared with the whole state.
    pub const WHOLE: Extent = Extent { size: Size::Large, expected: 0 };

    pub fn one(fate: Fate) -> Extent {
        Extent { size: Size::One(fate), expected: 1 }
    }

    pub fn of(rows: u64) -> Extent {
        let size = if rows < LARGE { Size::Small } else { Size::Large };
        let (_, expected) = EXTENTS.into_iter().rfind(|(from, _)| *from <= rows).unwrap_or(EXTENTS[0]);
        Extent { size, expected }
    }

    /// How a statement over the delta may be planned.
    pub fn reach(self) -> Reach {
        if self.size == Size::Large { Reach::Many } else { Reach::FewUnless(WIDE) }
    }
}
