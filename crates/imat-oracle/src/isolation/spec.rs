//! The text form of a spec.
//!
//! ```text
//! setup                     lines before the first `spec` belong to every spec of the file
//!   CREATE TABLE t (k int);
//! view totals
//!   SELECT k, count(*) AS n FROM t GROUP BY k
//!
//! spec same-group
//! session a
//!   a1: INSERT INTO t VALUES (1)
//!   a2: COMMIT
//! session b
//!   b1: INSERT INTO t VALUES (1)
//!   b2: COMMIT
//! run a1 b1 a2 b2
//!   rc: b1 waits
//!   rr: b1 waits 40001
//!   rr+rc: b1 waits
//! ```
//! Each session begins its own transaction. An expectation names a step and what may happen to it:
//! `ok`, a SQLSTATE, or several with `|` between; `waits` or `free` (must not wait). Without one a
//! step must succeed; under SERIALIZABLE it may also fail with 40001, as PostgreSQL reserves the
//! right to. `any:` speaks for all levels. A mix of levels, in the order of the sessions' names, is run
//! in addition where a run says something of it; `rr+rc:` alone expects success. `inside off` in a spec skips the comparison that
//! each session makes in its own snapshot.
//!
//! Each run is played in several ways, see [`Way`]. The expectations are those of the ways in which a statement's change
//! is applied right away. Where changes are applied at commit, the twin law holds (`super::twin`), unless a line says
//! otherwise for that way: `blind rc: b2 waits`; `looking rc: …` is the same for early flushes. After a line `flush statement`
//! or `flush commit`, in a spec or before the first one, runs are for one setting; the expectations after
//! `flush commit` are those of [`Way::Blind`].

use super::Level;
use clap::ValueEnum;
use std::collections::HashMap;

/// The setting `imat.flush`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flush {
    Commit,
    Statement,
}

impl Flush {
    pub fn name(self) -> &'static str {
        match self {
            Flush::Commit => "commit",
            Flush::Statement => "statement",
        }
    }
}

/// When changes are applied in a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// After each statement.
    Statement,
    /// `imat.flush = commit`, and each session reads the maintained tables after each of its statements.
    Looking,
    /// `imat.flush = commit`, and nobody reads them, unless a step does.
    Blind,
}

impl Way {
    pub fn flush(self) -> Flush {
        if self == Way::Statement { Flush::Statement } else { Flush::Commit }
    }
}

/// A file's worth of specs.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Spec {
    pub name: String,
    pub setup: String,
    pub views: Vec<(String, String)>,
    pub steps: HashMap<String, StepDef>,
    pub runs: Vec<Run>,
    pub inside: bool,
    /// The only setting that the following runs are for.
    flush: Option<Flush>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepDef {
    pub session: String,
    pub sql: String,
}

/// Levels of the sessions in the order of their names; one stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(pub Vec<Level>);

impl Mix {
    /// Nothing where it is meant for any mix.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "any" {
            return Ok(None);
        }
        let level = |word| match word {
            "rc" => Ok(Level::Rc),
            "rr" => Ok(Level::Rr),
            "ser" => Ok(Level::Ser),
            _ => Err("unknown level".to_owned()),
        };
        text.split('+').map(level).collect::<Result<_, _>>().map(|levels| Some(Self(levels)))
    }
}

/// One order of the steps and what is expected of it.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Run {
    pub steps: Vec<String>,
    expectations: Vec<(Option<Way>, Option<Mix>, Expectation)>,
    /// The only setting that it is for.
    pub flush: Option<Flush>,
    /// The mixes of different levels that it is run at.
    pub mixes: Vec<Mix>,
}

/// What may happen to a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub step: String,
    pub waits: Option<bool>,
    pub codes: Vec<String>,
}

impl Run {
    /// What the lines say of a step; what they say of this mix goes before what they say of all.
    fn said(&self, step: &str, way: Option<Way>, mix: &Mix) -> Option<&Expectation> {
        let find = |wanted: Option<&Mix>| {
            self.expectations.iter().find(|(w, m, e)| *w == way && m.as_ref() == wanted && e.step == step)
        };
        find(Some(mix)).or_else(|| find(None)).map(|(_, _, e)| e)
    }

    /// The expectation that is written for a step of a session at a level. For the way [`Way::Blind`] there is one only if a
    /// line is for that way.
    pub fn written(&self, step: &str, level: Level, way: Way, mix: &Mix) -> Option<Expectation> {
        let own = self.said(step, Some(way), mix);
        let mut e = match way {
            Way::Blind => own?.clone(),
            _ => own.or_else(|| self.said(step, None, mix)).cloned().unwrap_or_else(|| Expectation::nothing(step)),
        };
        if e.codes.is_empty() {
            e.codes.push("ok".into());
            if level == Level::Ser {
                e.codes.push("40001".into());
            }
        }
        Some(e)
    }

    /// The SQLSTATEs that the lines allow to a step where changes are applied right away.
    pub fn codes(&self, step: &str, mix: &Mix) -> &[String] {
        self.said(step, None, mix).map_or(&[], |e| e.codes.as_slice())
    }

    /// Whether the lines say that a step waits or must not, where changes are applied right away.
    pub fn waits(&self, step: &str, mix: &Mix) -> Option<bool> {
        self.said(step, None, mix)?.waits
    }
}

impl Expectation {
    /// Success, with or without waiting.
    pub fn nothing(step: &str) -> Self {
        Self { step: step.to_owned(), waits: None, codes: Vec::new() }
    }
}

#[derive(Clone, PartialEq)]
enum Section {
    Nothing,
    Setup,
    View,
    Session(String),
    Run,
}

/// Reads a file; errors name the line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Spec>, String> {
    let mut reader =
        Reader { common: Spec { inside: true, ..Spec::default() }, specs: Vec::new(), section: Section::Nothing };
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let outcome = if line.starts_with(' ') { reader.content(bare) } else { reader.heading(bare) };
        outcome.map_err(|why| format!("{file}:{}: {why}: {bare}", number + 1))?;
    }
    for spec in &reader.specs {
        for step in spec.runs.iter().flat_map(|r| &r.steps) {
            if !spec.steps.contains_key(step) {
                return Err(format!("{file}: spec {} runs an unknown step {step}", spec.name));
            }
        }
    }
    Ok(reader.specs)
}

struct Reader {
    common: Spec,
    specs: Vec<Spec>,
    section: Section,
}

impl Reader {
    fn current(&mut self) -> &mut Spec {
        self.specs.last_mut().unwrap_or(&mut self.common)
    }

    fn heading(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.section = match word {
            "spec" => {
                let spec = Spec { name: rest.to_owned(), ..self.common.clone() };
                self.specs.push(spec);
                Section::Nothing
            }
            "setup" => Section::Setup,
            "inside" if rest == "off" => {
                self.current().inside = false;
                Section::Nothing
            }
            "flush" => {
                let flush = Flush::from_str(rest, false).map_err(|_| "unknown setting".to_owned())?;
                self.current().flush = Some(flush);
                Section::Nothing
            }
            "view" => {
                self.current().views.push((rest.to_owned(), String::new()));
                Section::View
            }
            "session" => Section::Session(rest.to_owned()),
            "run" => {
                let steps = rest.split_whitespace().map(str::to_owned).collect();
                let flush = self.current().flush;
                self.current().runs.push(Run { steps, flush, ..Run::default() });
                Section::Run
            }
            _ => return Err("unknown heading".into()),
        };
        Ok(())
    }

    fn content(&mut self, line: &str) -> Result<(), String> {
        match self.section.clone() {
            Section::Nothing => Err("text without a heading".into()),
            Section::Setup => {
                let setup = &mut self.current().setup;
                setup.push_str(line);
                setup.push('\n');
                Ok(())
            }
            Section::View => {
                let view = self.current().views.last_mut().ok_or("no view")?;
                view.1.push_str(line);
                view.1.push('\n');
                Ok(())
            }
            Section::Session(session) => {
                let (name, sql) = line.split_once(": ").ok_or("a step is written `name: SQL`")?;
                let step = StepDef { session, sql: sql.to_owned() };
                match self.current().steps.insert(name.to_owned(), step) {
                    None => Ok(()),
                    Some(_) => Err("a step of this name exists".into()),
                }
            }
            Section::Run => {
                let (mix, list) = line.split_once(':').ok_or("an expectation is written `level: step …`")?;
                let run = self.current().runs.last_mut().ok_or("no run")?;
                let (way, mix) = match mix.split_once(' ') {
                    Some(("blind", mix)) => (Some(Way::Blind), mix),
                    Some(("looking", mix)) => (Some(Way::Looking), mix),
                    _ if run.flush == Some(Flush::Commit) => (Some(Way::Blind), mix),
                    _ => (None, mix),
                };
                let mix = Mix::parse(mix)?;
                if let Some(mix) = mix.as_ref().filter(|mix| mix.0.len() > 1 && !run.mixes.contains(mix)) {
                    run.mixes.push(mix.clone());
                }
                for part in list.split(',').filter(|part| !part.trim().is_empty()) {
                    run.expectations.push((way, mix.clone(), expectation(part)?));
                }
                Ok(())
            }
        }
    }
}

fn expectation(text: &str) -> Result<Expectation, String> {
    let mut words = text.split_whitespace();
    let step = words.next().ok_or("an expectation needs a step")?;
    let mut out = Expectation::nothing(step);
    for word in words {
        match word {
            "waits" => out.waits = Some(true),
            "free" => out.waits = Some(false),
            codes => {
                for code in codes.split('|') {
                    if code != "ok" && code.len() != 5 {
                        return Err(format!("not a SQLSTATE: {code}"));
                    }
                    out.codes.push(code.to_owned());
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# shared
setup
  CREATE TABLE t (k int);
view totals
  SELECT k,
         count(*) AS n FROM t GROUP BY k

spec one
session a
  a1: INSERT INTO t VALUES (1)
session b
  b1: SELECT ': '
run a1 b1
  rc: b1 waits
  rr: b1 waits 40001|40P01
  any: a1 free
  rr+rc: b1 waits 23505
  ser+rc:
  blind rr: b1 40001

spec two
inside off
flush commit
setup
  INSERT INTO t VALUES (2);
session a
  a1: COMMIT
run a1
  any: a1 waits
flush statement
run a1
";

    #[test]
    fn reads_shared_parts_steps_and_runs() {
        let specs = parse("f", TEXT).unwrap();
        assert_eq!(specs.len(), 2);
        assert_eq!(specs[0].views[0].1, "SELECT k,\ncount(*) AS n FROM t GROUP BY k\n");
        assert_eq!(specs[0].steps["b1"], StepDef { session: "b".into(), sql: "SELECT ': '".into() });
        assert!(specs[0].inside && !specs[1].inside);
        assert_eq!(specs[1].setup, "CREATE TABLE t (k int);\nINSERT INTO t VALUES (2);\n");
    }

    #[test]
    fn expectations_depend_on_the_level() {
        let specs = parse("f", TEXT).unwrap();
        let run = &specs[0].runs[0];
        let expected = |step, level| run.written(step, level, Way::Statement, &Mix(vec![level])).unwrap();
        assert_eq!(expected("b1", Level::Rc).codes, ["ok"]);
        assert_eq!(expected("b1", Level::Rr).codes, ["40001", "40P01"]);
        assert_eq!(expected("b1", Level::Rr).waits, Some(true));
        assert_eq!(expected("b1", Level::Ser).codes, ["ok", "40001"]);
        assert_eq!(expected("a1", Level::Ser).waits, Some(false));
    }

    #[test]
    fn expectations_depend_on_the_way() {
        let specs = parse("f", TEXT).unwrap();
        let run = &specs[0].runs[0];
        let (rc, rr) = (Mix(vec![Level::Rc]), Mix(vec![Level::Rr]));
        assert_eq!(run.written("b1", Level::Rc, Way::Blind, &rc), None);
        assert_eq!(run.written("b1", Level::Rr, Way::Blind, &rr).unwrap().codes, ["40001"]);
        assert_eq!(run.codes("b1", &rr), ["40001", "40P01"]);
        let [commit, statement] = specs[1].runs.as_slice() else { panic!("two runs") };
        assert_eq!((commit.flush, statement.flush), (Some(Flush::Commit), Some(Flush::Statement)));
        assert_eq!(commit.written("a1", Level::Rc, Way::Blind, &rc).unwrap().waits, Some(true));
    }

    #[test]
    fn a_mix_of_levels_is_run_where_something_is_said_of_it() {
        let run = &parse("f", TEXT).unwrap()[0].runs[0];
        let mix = Mix(vec![Level::Rr, Level::Rc]);
        assert_eq!(run.mixes, [mix.clone(), Mix(vec![Level::Ser, Level::Rc])]);
        assert_eq!(run.written("b1", Level::Rc, Way::Looking, &mix).unwrap().codes, ["23505"]);
        assert_eq!(run.written("a1", Level::Rr, Way::Looking, &mix).unwrap().waits, Some(false));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        assert!(parse("f", "spec x\nrun q1\n").unwrap_err().contains("unknown step q1"));
        assert!(parse("f", "oops\n").unwrap_err().starts_with("f:1: unknown heading"));
        assert!(parse("f", "spec x\nsession a\n  a1 SELECT\n").is_err());
        assert!(parse("f", "spec x\nsession a\n  a1: SELECT\nrun a1\n  rc: a1 4000\n").is_err());
    }
}
