//! SQL aggregates as expressions over components.

use crate::facts::{Class, Type};
use crate::plan::component::{Component, Kind, sum_type};
use crate::scalar::Scalar;
use crate::view::Aggregate;

/// Collects components, each once.
#[derive(Default)]
pub struct Components {
    pub list: Vec<Component>,
}

impl Components {
    pub fn add(&mut self, component: Component) -> Scalar {
        let position = self.list.iter().position(|known| *known == component).unwrap_or_else(|| {
            self.list.push(component);
            self.list.len() - 1
        });
        Scalar::column(position)
    }

    fn count(&mut self, arg: Option<Scalar>, filter: Option<Scalar>) -> Scalar {
        self.add(Component { kind: Kind::Count, arg, filter, ty: "bigint".into(), identity: true })
    }

    /// The number of rows of the group. A group exists while this is above zero.
    pub fn rows(&mut self) -> Scalar {
        self.count(None, None)
    }
}

/// Whether a sum must be identical to PostgreSQL's, or only equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal in value. Subtraction keeps trailing zeros of removed rows.
    Value,
    /// Identical, because division and text depend on the scale.
    Exact,
}

/// The facts about one aggregate call.
pub struct Call<'a> {
    pub aggregate: &'a Aggregate,
    /// The argument's type, if there is exactly one argument.
    pub arg: Option<&'a Type>,
    pub result: &'a Type,
    /// Whether the argument is never NULL.
    pub not_null: bool,
    /// Whether the view has group keys, so that a stored group is never empty.
    pub keyed: bool,
    pub scale: Scale,
}

/// Adds the components that the call needs; returns its value, over components by position.
pub fn decompose(call: &Call<'_>, components: &mut Components) -> Scalar {
    arithmetic(call, components).unwrap_or_else(|| holistic(call, components))
}

fn holistic(call: &Call<'_>, components: &mut Components) -> Scalar {
    components.add(Component {
        kind: Kind::Holistic,
        arg: Some(call.aggregate.call.clone()),
        filter: None,
        ty: call.result.column_type(),
        identity: call.result.identity,
    })
}

fn arithmetic(call: &Call<'_>, components: &mut Components) -> Option<Scalar> {
    let aggregate = call.aggregate;
    if aggregate.schema.is_some() || aggregate.ordered {
        return None;
    }
    let extreme = matches!(aggregate.name.as_str(), "min" | "max");
    if aggregate.distinct && !extreme {
        return None;
    }
    let filter = aggregate.filter.clone();
    let arg = match aggregate.args.as_slice() {
        [] if aggregate.name == "count" => return Some(components.count(None, filter)),
        [arg] => arg.clone(),
        _ => return None,
    };
    let (ty, not_null) = (call.arg?, call.not_null && filter.is_none());
    let builder = Builder { ty, result: call.result, arg, filter, not_null, keyed: call.keyed, scale: call.scale };
    match aggregate.name.as_str() {
        "count" if builder.arg.as_column().is_some() => Some(builder.count(components)),
        // The argument is computed even if it is never NULL, because it may fail.
        "count" => Some(components.count(Some(builder.arg), builder.filter)),
        "sum" => builder.sum(components),
        "avg" => builder.average(components),
        "min" => builder.extreme(Kind::Min, components),
        "max" => builder.extreme(Kind::Max, components),
        "bool_and" | "every" => Some(builder.all_true(components)),
        "bool_or" => Some(builder.any_true(components)),
        "var_pop" => builder.variance(components, Spread { sample: false, root: false }),
        "var_samp" | "variance" => builder.variance(components, Spread { sample: true, root: false }),
        "stddev_pop" => builder.variance(components, Spread { sample: false, root: true }),
        "stddev_samp" | "stddev" => builder.variance(components, Spread { sample: true, root: true }),
        _ => None,
    }
}

/// The variants of variance and standard deviation.
#[derive(Clone, Copy)]
struct Spread {
    sample: bool,
    root: bool,
}

struct Builder<'a> {
    ty: &'a Type,
    result: &'a Type,
    arg: Scalar,
    filter: Option<Scalar>,
    not_null: bool,
    keyed: bool,
    scale: Scale,
}

impl Builder<'_> {
    /// The number of aggregated values.
    fn count(&self, components: &mut Components) -> Scalar {
        match self.not_null {
            true => components.rows(),
            false => components.count(Some(self.arg.clone()), self.filter.clone()),
        }
    }

    fn sum_of(&self, arg: Scalar, class: Class, components: &mut Components) -> Option<Scalar> {
        let ty = sum_type(class)?;
        // Intervals can be infinite from 17 on, and infinity can't be subtracted. The rule is the same before 17,
        // because a state must stay right when its server is upgraded.
        let inexact = matches!(class, Class::Float4 | Class::Float8 | Class::Interval);
        let kind = if inexact { Kind::InexactSum } else { Kind::Sum };
        let filter = self.filter.clone();
        Some(components.add(Component { kind, arg: Some(arg), filter, ty: ty.into(), identity: false }))
    }

    /// The sum with the largest scale among the values, like PostgreSQL's.
    ///
    /// If the type has a declared scale, every sum has that scale. Otherwise the state counts the values of each scale
    /// in one number, with twelve digits for each scale, so that values can be added and subtracted as in any sum. The
    /// length of the number shows the largest scale. If a scale is too large, the number is NaN. Then the group is
    /// recomputed when a value is removed, and until then the sum itself has the right scale.
    fn scaled(&self, sum: Scalar, power: u32, components: &mut Components) -> Option<Scalar> {
        if self.scale == Scale::Value || self.ty.sql != "numeric" {
            return Some(sum);
        }
        let text = format!(
            "CASE WHEN scale($1) > {MOST_COUNTED} THEN 'NaN'::numeric \
             ELSE ('1' || repeat('0', 12 * coalesce(scale($1), 0)))::numeric END"
        );
        let scales = self.sum_of(template(&text, &[&self.arg]), Class::Numeric, components)?;
        let text = format!(
            "CASE $2 WHEN 'NaN'::numeric THEN $1 ELSE round($1, {power} * ((length(trunc($2)::text) - 1) / 12)) END"
        );
        Some(template(&text, &[&sum, &scales]))
    }

    fn sum(&self, components: &mut Components) -> Option<Scalar> {
        let sum = self.sum_of(self.arg.clone(), self.ty.class, components)?;
        let sum = self.scaled(sum, 1, components)?;
        if self.not_null && self.keyed {
            return Some(sum);
        }
        let count = self.count(components);
        Some(template("CASE WHEN $1 > 0 THEN $2 END", &[&count, &sum]))
    }

    fn average(&self, components: &mut Components) -> Option<Scalar> {
        // avg(real) adds up in double precision.
        let (arg, class, text) = match self.ty.class {
            Class::Float4 => (template("($1)::double precision", &[&self.arg]), Class::Float8, FLOAT_AVERAGE),
            Class::Float8 => (self.arg.clone(), Class::Float8, FLOAT_AVERAGE),
            Class::Interval => (self.arg.clone(), Class::Interval, FLOAT_AVERAGE),
            class @ (Class::Int2 | Class::Int4 | Class::Int8 | Class::Numeric) => {
                (self.arg.clone(), class, "($1)::numeric / nullif($2, 0)::numeric")
            }
            Class::Money | Class::Bool | Class::Other => return None,
        };
        let sum = self.sum_of(arg, class, components)?;
        let sum = self.scaled(sum, 1, components)?;
        let count = self.count(components);
        Some(template(text, &[&sum, &count]))
    }

    fn extreme(&self, kind: Kind, components: &mut Components) -> Option<Scalar> {
        // LEAST and the comparison must order as the aggregate does. They do for PostgreSQL's own scalar types; arrays,
        // rows and extension types are recomputed.
        self.ty.ordered.then(|| {
            components.add(Component {
                kind,
                arg: Some(self.arg.clone()),
                filter: self.filter.clone(),
                ty: self.result.column_type(),
                identity: self.ty.identity,
            })
        })
    }

    fn trues(&self, components: &mut Components) -> Scalar {
        components.count(None, Some(self.arg.guarded(self.filter.iter())))
    }

    fn all_true(&self, components: &mut Components) -> Scalar {
        let (count, trues) = (self.count(components), self.trues(components));
        template("CASE WHEN $1 > 0 THEN $1 = $2 END", &[&count, &trues])
    }

    fn any_true(&self, components: &mut Components) -> Scalar {
        let (count, trues) = (self.count(components), self.trues(components));
        template("CASE WHEN $1 > 0 THEN $2 > 0 END", &[&count, &trues])
    }

    /// The formula, the scale and the rounding of PostgreSQL's `numeric_stddev_internal`. Its square root has the scale
    /// of the variance. `sqrt` may choose a smaller scale, so the argument gets twenty more digits and the result is
    /// rounded.
    fn variance(&self, components: &mut Components, spread: Spread) -> Option<Scalar> {
        if !matches!(self.ty.class, Class::Int2 | Class::Int4 | Class::Int8 | Class::Numeric) {
            return None;
        }
        let square = template("(($1)::numeric * ($1)::numeric)", &[&self.arg]);
        let squares = self.sum_of(square, Class::Numeric, components)?;
        let squares = self.scaled(squares, 2, components)?;
        let sum = self.sum_of(self.arg.clone(), self.ty.class, components)?;
        let sum = self.scaled(sum, 1, components)?;
        let count = self.count(components);
        let (least, divisor) = match spread.sample {
            true => ("2", "($1::numeric * ($1::numeric - 1))"),
            false => ("1", "($1::numeric * $1::numeric)"),
        };
        let numerator = "($1::numeric * ($3) - ($2)::numeric * ($2)::numeric)";
        let variance = format!("({numerator} / {divisor})");
        let value = match spread.root {
            true => format!(
                "CASE WHEN {variance} = 'NaN'::numeric THEN 'NaN'::numeric ELSE \
                 round(sqrt(round({variance}, scale({variance}) + 20)), scale({variance})) END"
            ),
            false => variance,
        };
        let text = format!("CASE WHEN $1 < {least} THEN NULL WHEN {numerator} <= 0 THEN 0::numeric ELSE {value} END");
        Some(template(&text, &[&count, &sum, &squares]))
    }
}

/// The largest scale whose values are counted; the number then has 1,200 digits.
const MOST_COUNTED: u32 = 100;

const FLOAT_AVERAGE: &str = "($1) / nullif($2, 0)::double precision";

/// `text` with `$1`, `$2`, … replaced.
fn template(text: &str, args: &[&Scalar]) -> Scalar {
    let mut out = Scalar::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_text(&rest[..at]);
        let number = rest.as_bytes()[at + 1] - b'1';
        out.push(args[usize::from(number)]);
        rest = &rest[at + 2..];
    }
    out.push_text(rest);
    out
}
