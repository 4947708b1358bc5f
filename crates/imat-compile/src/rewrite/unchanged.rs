//! A table that did not change: its old image is its new one, its delta is empty.

use super::Rule;
use crate::rel::{Image, Rel, TableSet};

pub struct Unchanged;

impl Rule for Unchanged {
    fn apply(&self, rel: &Rel, changed: &TableSet) -> Option<Rel> {
        let Rel::Scan(scan) = rel else { return None };
        if changed.contains(&scan.table) {
            return None;
        }
        match scan.image {
            Image::Old => Some(Rel::scan(scan.table, Image::New, scan.width)),
            Image::Delta => Some(Rel::empty(scan.width)),
            Image::New => None,
        }
    }
}
