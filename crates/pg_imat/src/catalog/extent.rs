//! How much a change is, and how statements are planned for it.

use imat_compile::plan::{Fate, Size};

use crate::pg::spi::Reach;

/// From how many rows on a change is applied by the plans made for many.
const LARGE: u64 = 200;

/// From how many rows on, in some step towards its result, a smaller change is too. Up to there the worst that an
/// index can do is little, and the worst that the planner can do with statistics of yesterday is a scan of all.
const WIDE: u32 = 5_000;

/// The numbers of rows that plans are made for, each from so many on.
const EXTENTS: [(u64, u32); 5] = [(0, 10), (LARGE, 800), (3_000, 12_000), (50_000, 200_000), (800_000, 3_000_000)];

/// How much a change is, as far as plans depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub size: Size,
    /// The rows of a delta that statements are planned for.
    pub expected: u32,
}

impl Extent {
    /// A query runs again and is compared with all of the state.
    pub const WHOLE: Extent = Extent { size: Size::Large, expected: 0 };

    pub fn one(fate: Fate) -> Extent {
        Extent { size: Size::One(fate), expected: 1 }
    }

    pub fn of(rows: u64) -> Extent {
        let size = if rows < LARGE { Size::Small } else { Size::Large };
        let (_, expected) = EXTENTS.into_iter().rfind(|(from, _)| *from <= rows).unwrap_or(EXTENTS[0]);
        Extent { size, expected }
    }

    /// What a statement over the delta touches.
    pub fn reach(self) -> Reach {
        if self.size == Size::Large { Reach::Many } else { Reach::FewUnless(WIDE) }
    }
}
