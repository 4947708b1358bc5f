//! `πf(πg R) = π(f∘g) R`, and a projection to every column in order is nothing.

use super::Rule;
use crate::ops::Project;
use crate::rel::{Rel, TableSet};

pub struct MergeProjects;

impl Rule for MergeProjects {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        let Rel::Project(outer) = rel else {
            return None;
        };
        if is_identity(outer) {
            return Some((*outer.input).clone());
        }
        let Rel::Project(inner) = outer.input.as_ref() else {
            return None;
        };
        let outputs =
            outer.outputs.iter().map(|output| output.substitute(|position| inner.outputs[position].clone())).collect();
        Some((*inner.input).clone().project(outputs))
    }
}

fn is_identity(project: &Project) -> bool {
    project.outputs.len() == project.input.width()
        && project.outputs.iter().enumerate().all(|(i, output)| output.as_column() == Some(i))
}
