//! Chooses the next statement of a session: a change, a savepoint, a commit or a rollback.

use super::dml::{self, Action, Dml};
use super::schema::Schema;
use super::view::ViewDef;
use crate::dice::Dice;
use std::collections::VecDeque;

/// One statement of a round's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    /// Run between SAVEPOINT and RELEASE, so that its failure does not end the transaction.
    pub guarded: bool,
}

/// The state of a session's transaction.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    pub open: bool,
    pub aborted: bool,
    pub savepoints: Vec<String>,
}

/// Chooses statements. Those that belong together are returned one by one.
#[derive(Default)]
pub struct Script {
    pending: VecDeque<Action>,
    named: u64,
}

fn sql(text: impl Into<String>) -> Step {
    Step { action: Action::Sql(text.into()), guarded: false }
}

impl Script {
    /// The next statement.
    pub fn next(
        &mut self,
        dice: &mut Dice,
        progress: &Progress,
        world: (&Schema, &[ViewDef], u32),
        counts: &[i64],
    ) -> Step {
        if progress.aborted {
            self.pending.clear();
            return self.recover(dice, progress);
        }
        if let Some(action) = self.pending.pop_front() {
            return Step { action, guarded: progress.open && dice.chance(80) };
        }
        if let Some(step) = self.boundary(dice, progress) {
            return step;
        }
        let (schema, views, version) = world;
        let limit = if schema.tables.len() > 2 { 22 } else { 35 };
        let mut d = Dml { dice, schema, views, counts, version, in_transaction: progress.open, limit };
        self.pending = dml::random(&mut d).into();
        let Some(action) = self.pending.pop_front() else {
            return sql("SELECT 1");
        };
        Step { action, guarded: progress.open && dice.chance(80) }
    }

    fn recover(&mut self, dice: &mut Dice, progress: &Progress) -> Step {
        if !progress.savepoints.is_empty() && dice.chance(60) {
            return sql(format!("ROLLBACK TO SAVEPOINT {}", dice.pick(&progress.savepoints)));
        }
        sql(*dice.pick(&["ROLLBACK", "COMMIT"]))
    }

    fn boundary(&mut self, dice: &mut Dice, progress: &Progress) -> Option<Step> {
        if !progress.open {
            return dice.chance(35).then(|| {
                sql(*dice.pick(&[
                    "BEGIN",
                    "BEGIN",
                    "BEGIN ISOLATION LEVEL REPEATABLE READ",
                    "BEGIN ISOLATION LEVEL SERIALIZABLE",
                ]))
            });
        }
        let nested = !progress.savepoints.is_empty();
        match dice.weighted(&[
            (70, 0),
            (11, 1),
            (5, 2),
            (8, 3),
            (if nested { 7 } else { 0 }, 4),
            (if nested { 5 } else { 0 }, 5),
        ]) {
            0 => None,
            1 => Some(sql("COMMIT")),
            2 => Some(sql("ROLLBACK")),
            3 => {
                self.named += 1;
                Some(sql(format!("SAVEPOINT s{}", self.named)))
            }
            4 => Some(sql(format!("ROLLBACK TO SAVEPOINT {}", dice.pick(&progress.savepoints)))),
            _ => Some(sql(format!("RELEASE SAVEPOINT {}", dice.pick(&progress.savepoints)))),
        }
    }
}

impl Progress {
    /// Follows a transaction statement; `failed` says that the server raised an error.
    pub fn follow(&mut self, step: &Step, failed: bool) {
        let Action::Sql(text) = &step.action else {
            return self.note_failure(step, failed);
        };
        let last = text.rsplit(' ').next().unwrap_or_default();
        match text.split(' ').next().unwrap_or_default() {
            "COMMIT" => *self = Progress::default(),
            "BEGIN" => self.open = !failed,
            "ROLLBACK" if text == "ROLLBACK" => *self = Progress::default(),
            "ROLLBACK" if !failed => {
                self.aborted = false;
                self.cut(last, 1);
            }
            "SAVEPOINT" if !failed => self.savepoints.push(last.to_owned()),
            "RELEASE" if !failed => self.cut(last, 0),
            _ => self.note_failure(step, failed),
        }
    }

    fn note_failure(&mut self, step: &Step, failed: bool) {
        self.aborted |= failed && self.open && !step.guarded;
    }

    /// Forgets the savepoints after `name`, and `name` itself unless `keep` is 1.
    fn cut(&mut self, name: &str, keep: usize) {
        if let Some(at) = self.savepoints.iter().position(|s| s == name) {
            self.savepoints.truncate(at + keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_follows_savepoints_and_failures() {
        let mut p = Progress::default();
        for text in ["BEGIN", "SAVEPOINT s1", "SAVEPOINT s2"] {
            p.follow(&sql(text), false);
        }
        p.follow(&sql("DELETE FROM t"), true);
        assert!(p.aborted);
        p.follow(&sql("ROLLBACK TO SAVEPOINT s1"), false);
        assert_eq!((p.aborted, p.savepoints.clone()), (false, vec!["s1".to_owned()]));
        p.follow(&sql("RELEASE SAVEPOINT s1"), false);
        assert!(p.savepoints.is_empty() && p.open);
        p.follow(&sql("COMMIT"), true);
        assert!(!p.open);
    }

    #[test]
    fn a_guarded_failure_does_not_abort() {
        let mut p = Progress { open: true, ..Progress::default() };
        p.follow(&Step { guarded: true, ..sql("DELETE FROM t") }, true);
        assert!(!p.aborted);
    }
}
