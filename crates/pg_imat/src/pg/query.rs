//! Finds what the analysed query of a view calls and reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_void};

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::{clock, walk};

mod reread;

use reread::{are_equal, is_clause, negative, targets};

/// Everything in a query that its result depends on, without the views that it reads.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Functions, also those behind operators, aggregates, casts, and type input and output.
    pub functions: BTreeSet<u32>,
    /// Functions with the types of their arguments.
    pub calls: BTreeSet<(u32, u32)>,
    /// Types whose values are printed by a construct that is no function call.
    pub printed: BTreeSet<u32>,
    /// Types whose values are parsed from text by a construct that is no function call.
    pub read: BTreeSet<u32>,
    /// Types that the fields of an anonymous record can have.
    pub fields: BTreeSet<u32>,
    /// Operators in the query's text.
    pub operators: BTreeSet<u32>,
    /// Relations in FROM, in all subqueries.
    pub relations: BTreeSet<u32>,
    /// A cast of text to a date or time that is not checked by `clockless`.
    pub reads_clock: bool,
    /// `current_date`, `current_user`, `nextval` and others that are no function calls.
    pub session_values: bool,
    /// `ctid`, `xmin` and the other system columns.
    pub system_columns: bool,
    pub tablesample: bool,
    /// A set-returning function among the outputs.
    pub target_sets: bool,
    /// A construct that itself depends on settings.
    pub follows_settings: bool,
    /// A kind of node that this file does not know.
    pub unknown: Option<String>,
    /// A whole-row reference, for which all columns of a join matter.
    pub whole_rows: bool,
    /// The objects that PostgreSQL resolved, in order: functions, operators and collations, relations and columns,
    /// constants. Two queries with the same text mean the same if this is equal.
    ///
    /// Two things change when a text is parsed again: a constant after a minus becomes a negative constant, and equal
    /// expressions in one clause, or equal windows, become one. So they are recorded in that form.
    /// equal expressions in one clause, or of equal windows, there is one. So they are taken down like that.
    pub meaning: Vec<u32>,
}

impl Contents {
    /// Adds the contents of a view that the query reads, except its relations.
    pub fn add(&mut self, below: Contents) {
        self.functions.extend(below.functions);
        self.calls.extend(below.calls);
        self.printed.extend(below.printed);
        self.read.extend(below.read);
        self.fields.extend(below.fields);
        self.operators.extend(below.operators);
        self.reads_clock |= below.reads_clock;
        self.session_values |= below.session_values;
        self.system_columns |= below.system_columns;
        self.tablesample |= below.tablesample;
        self.target_sets |= below.target_sets;
        self.follows_settings |= below.follows_settings;
        self.unknown = self.unknown.take().or(below.unknown);
    }

    /// Records a cast of text to a date or time, which depends on DateStyle and other settings.
    fn note_cast(&mut self, cast: &clock::Cast) {
        self.reads_clock |= !cast.is_checked;
        self.follows_settings = true;
        self.meaning.push(cast.to);
    }
}

/// A walk through the tree of a view's query.
struct Walk<'a> {
    view: u32,
    /// Relations that count as other ones: see [`reading_instead`].
    instead: &'a BTreeMap<u32, u32>,
    contents: Contents,
    /// The types of the current node's arguments.
    arguments: Vec<u32>,
    /// The expression for which the placeholder in a cast of an array's elements stands.
    element: *mut pg_sys::Node,
    /// See [`targets`].
    targets: *mut pg_sys::List,
}

#[pg_guard]
unsafe extern "C-unwind" fn function(oid: pg_sys::Oid, context: *mut c_void) -> bool {
    // SAFETY: the context is the `Walk` that `of_view` lends.
    let walk = unsafe { &mut *context.cast::<Walk>() };
    let oid = oid.to_u32();
    walk.contents.functions.insert(oid);
    walk.contents.calls.extend(walk.arguments.iter().map(|&argument| (oid, argument)));
    walk.contents.meaning.push(oid);
    false
}

/// Range table entries are visited before their contents. Of a join's columns only the merged ones are visited. All
/// others are columns of another entry, and their list can grow with the table although the query does not change.
const FLAGS: u32 = pg_sys::QTW_EXAMINE_RTES_BEFORE | pg_sys::QTW_EXAMINE_SORTGROUP | pg_sys::QTW_IGNORE_JOINALIASES;

#[pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    use pg_sys::NodeTag::*;
    if node.is_null() {
        return false;
    }
    let walk = context.cast::<Walk>();
    // SAFETY: each cast is to the struct that the node's tag says it is; the context is the
    // `Walk` that `of_view` lends, of which no borrow is held while the walk goes on.
    unsafe {
        if (*node).type_ == T_OpExpr
            && let Some(mut constant) = negative(node)
        {
            return visit((&raw mut constant).cast(), context);
        }
        if let Some(cast) = clock::cast(node) {
            (*walk).contents.note_cast(&cast);
            return visit(cast.text, context);
        }
        (*walk).note(node);
        match (*node).type_ {
            T_List if !(*walk).targets.is_null() && is_clause(node.cast()) => {
                (*walk).each_once(nodes(node.cast()));
                return false;
            }
            T_Query => {
                let mut query = reread::ungrouped(node.cast());
                let outer = (*walk).targets;
                (*walk).targets = targets(&raw mut query);
                let done = walk::query(&raw mut query, visit, context, (FLAGS | reread::FLAGS) as i32);
                (*walk).targets = outer;
                return done;
            }
            // The walker visits the entry itself, except the columns of a join.
            T_RangeTblEntry => return (*walk).columns(node.cast()).into_iter().any(|node| visit(node, context)),
            T_RowExpr => return fields(node.cast()).into_iter().any(|node| visit(node, context)),
            T_SetOperationStmt => {
                visit((*node.cast::<pg_sys::SetOperationStmt>()).groupClauses.cast(), context);
            }
            T_ArrayCoerceExpr => {
                let cast = node.cast::<pg_sys::ArrayCoerceExpr>();
                let outer = (*walk).element;
                for element in elements((*cast).arg.cast()) {
                    (*walk).element = element;
                    visit((*cast).elemexpr.cast(), context);
                }
                (*walk).element = outer;
                return false;
            }
            T_CaseTestExpr => return visit(std::mem::replace(&mut (*walk).element, std::ptr::null_mut()), context),
            _ => {}
        }
        (*walk).arguments = arguments(node).into_iter().map(|argument| type_of(argument)).collect();
        pg_sys::check_functions_in_node(node, Some(function), context);
        walk::expression(node, visit, context)
    }
}

/// The parts of a constant that must be equal. If a composite type has got more attributes, a constant of it has more
/// fields when it is parsed again, so its printed form is compared.
unsafe fn constant(constant: *mut pg_sys::Const) -> Vec<u32> {
    // SAFETY: the node is a constant, and both strings end with a zero.
    unsafe {
        let mut constant = *constant;
        constant.location = -1;
        let text = if constant.consttype.to_u32() < pg_sys::FirstNormalObjectId || constant.constisnull {
            pg_sys::nodeToString((&raw const constant).cast())
        } else {
            let (mut output, mut varlena) = (pg_sys::Oid::INVALID, false);
            pg_sys::getTypeOutputInfo(constant.consttype, &mut output, &mut varlena);
            pg_sys::OidOutputFunctionCall(output, constant.constvalue)
        };
        let bytes = CStr::from_ptr(text).to_bytes().iter().map(|&byte| u32::from(byte));
        std::iter::once(constant.consttype.to_u32()).chain(bytes).collect()
    }
}

/// The fields of a row. PostgreSQL also prints attributes that the type has got since, as NULLs.
unsafe fn fields(row: *mut pg_sys::RowExpr) -> Vec<*mut pg_sys::Node> {
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        let is_null = |field: &*mut pg_sys::Node| {
            (**field).type_ == pg_sys::NodeTag::T_Const && (*field.cast::<pg_sys::Const>()).constisnull
        };
        let mut fields = nodes((*row).args);
        while fields.last().is_some_and(is_null) {
            fields.pop();
        }
        fields
    }
}

/// The elements of an array: `(ARRAY[a, b])::t[]` is parsed again as `ARRAY[a::t, b::t]`.
unsafe fn elements(array: *mut pg_sys::Node) -> Vec<*mut pg_sys::Node> {
    // SAFETY: the node's tag says what it is.
    unsafe {
        match (*array).type_ {
            pg_sys::NodeTag::T_ArrayExpr => nodes((*array.cast::<pg_sys::ArrayExpr>()).elements)
                .into_iter()
                .flat_map(|part| elements(part))
                .collect(),
            _ => vec![array],
        }
    }
}

unsafe fn nodes(list: *mut pg_sys::List) -> Vec<*mut pg_sys::Node> {
    // SAFETY: the list is one of nodes.
    unsafe { pgrx::PgList::from_pg(list).iter_ptr().collect() }
}

unsafe fn type_of(expression: *mut pg_sys::Node) -> u32 {
    // SAFETY: the node is an expression.
    unsafe { pg_sys::exprType(expression).to_u32() }
}

/// The types of a list of expressions.
unsafe fn types(list: *mut pg_sys::List) -> Vec<u32> {
    // SAFETY: as above.
    unsafe { nodes(list).into_iter().map(|expression| type_of(expression)).collect() }
}

unsafe fn oids(list: *mut pg_sys::List) -> Vec<u32> {
    // SAFETY: the list is one of OIDs.
    unsafe { pgrx::PgList::<pg_sys::Oid>::from_pg(list).iter_oid().map(pg_sys::Oid::to_u32).collect() }
}

/// The expressions that a node uses like a function's arguments, or prints.
unsafe fn arguments(node: *mut pg_sys::Node) -> Vec<*mut pg_sys::Node> {
    use pg_sys::NodeTag::*;
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        match (*node).type_ {
            T_FuncExpr => nodes((*node.cast::<pg_sys::FuncExpr>()).args),
            T_OpExpr | T_DistinctExpr | T_NullIfExpr => nodes((*node.cast::<pg_sys::OpExpr>()).args),
            T_ScalarArrayOpExpr => nodes((*node.cast::<pg_sys::ScalarArrayOpExpr>()).args),
            T_WindowFunc => nodes((*node.cast::<pg_sys::WindowFunc>()).args),
            T_CoerceViaIO => vec![(*node.cast::<pg_sys::CoerceViaIO>()).arg.cast()],
            T_Aggref => {
                let call = node.cast::<pg_sys::Aggref>();
                let entries =
                    nodes((*call).args).into_iter().map(|entry| (*entry.cast::<pg_sys::TargetEntry>()).expr.cast());
                nodes((*call).aggdirectargs).into_iter().chain(entries).collect()
            }
            T_XmlExpr => {
                let xml = node.cast::<pg_sys::XmlExpr>();
                nodes((*xml).args).into_iter().chain(nodes((*xml).named_args)).collect()
            }
            #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
            T_JsonConstructorExpr => nodes((*node.cast::<pg_sys::JsonConstructorExpr>()).args),
            _ => Vec::new(),
        }
    }
}

/// Whether a function parses JSON text into a row of its argument's type.
fn fills_row(function: pg_sys::Oid) -> bool {
    use pg_sys::*;
    matches!(
        function.to_u32(),
        F_JSON_POPULATE_RECORD | F_JSON_POPULATE_RECORDSET | F_JSONB_POPULATE_RECORD | F_JSONB_POPULATE_RECORDSET
    )
}

/// The same for a function in FROM with a column definition list.
unsafe fn makes_record(function: *mut pg_sys::Node) -> bool {
    use pg_sys::*;
    // SAFETY: the cast is to the struct that the node's tag says it is.
    unsafe {
        (*function).type_ == NodeTag::T_FuncExpr
            && matches!(
                (*function.cast::<FuncExpr>()).funcid.to_u32(),
                F_JSON_TO_RECORD | F_JSON_TO_RECORDSET | F_JSONB_TO_RECORD | F_JSONB_TO_RECORDSET
            )
    }
}

/// Whether this file knows what the value of such a node depends on.
fn is_known(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    match tag {
        T_Query | T_List | T_IntList | T_OidList | T_TargetEntry | T_FromExpr | T_JoinExpr | T_RangeTblRef => true,
        T_RangeTblEntry | T_RangeTblFunction | T_TableFunc | T_TableSampleClause | T_CommonTableExpr => true,
        T_CTESearchClause | T_CTECycleClause | T_SetOperationStmt | T_SortGroupClause | T_GroupingSet => true,
        T_WindowClause | T_RowMarkClause | T_WithCheckOption => true,
        T_Var | T_Const | T_Param | T_CaseTestExpr | T_CoerceToDomainValue | T_SetToDefault => true,
        T_SQLValueFunction | T_NextValueExpr | T_CurrentOfExpr => true,
        T_Aggref | T_GroupingFunc | T_WindowFunc | T_FuncExpr | T_NamedArgExpr => true,
        T_OpExpr | T_DistinctExpr | T_NullIfExpr | T_ScalarArrayOpExpr | T_RowCompareExpr | T_BoolExpr => true,
        T_SubLink | T_SubscriptingRef | T_FieldSelect | T_FieldStore | T_RelabelType | T_CoerceViaIO => true,
        T_ArrayCoerceExpr | T_ConvertRowtypeExpr | T_CoerceToDomain | T_CollateExpr | T_CaseExpr | T_CaseWhen => true,
        T_ArrayExpr | T_RowExpr | T_CoalesceExpr | T_MinMaxExpr | T_NullTest | T_BooleanTest | T_XmlExpr => true,
        #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
        T_JsonValueExpr | T_JsonConstructorExpr | T_JsonIsPredicate | T_JsonReturning | T_JsonFormat => true,
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        T_JsonExpr | T_JsonBehavior | T_JsonTablePath | T_JsonTablePathScan | T_JsonTableSiblingJoin => true,
        _ => false,
    }
}

impl Walk<'_> {
    /// Records the node itself, without its parts.
    unsafe fn note(&mut self, node: *mut pg_sys::Node) {
        use pg_sys::NodeTag::*;
        let contents = &mut self.contents;
        // SAFETY: each cast is to the struct that the node's tag says it is.
        unsafe {
            if !is_known((*node).type_) {
                let text = CStr::from_ptr(pg_sys::nodeToString(node.cast())).to_string_lossy();
                contents.unknown = text.split([' ', '}']).next().map(|label| label.trim_start_matches('{').to_owned());
            }
            contents
                .meaning
                .extend(Some(pg_sys::exprInputCollation(node).to_u32()).filter(|&collation| collation != 0));
            match (*node).type_ {
                T_Query => contents.target_sets |= (*node.cast::<pg_sys::Query>()).hasTargetSRFs,
                T_TableSampleClause => contents.tablesample = true,
                T_SQLValueFunction | T_NextValueExpr | T_CurrentOfExpr => contents.session_values = true,
                T_Var => {
                    let var = *node.cast::<pg_sys::Var>();
                    contents.system_columns |= var.varattno < 0;
                    contents.whole_rows |= var.varattno == 0;
                    contents.meaning.extend([var.varno as u32, var.varattno as u32, var.varlevelsup]);
                }
                T_Const => contents.meaning.extend(constant(node.cast())),
                T_OpExpr | T_DistinctExpr | T_NullIfExpr => {
                    self.operator((*node.cast::<pg_sys::OpExpr>()).opno.to_u32());
                }
                T_ScalarArrayOpExpr => self.operator((*node.cast::<pg_sys::ScalarArrayOpExpr>()).opno.to_u32()),
                T_RowCompareExpr => {
                    oids((*node.cast::<pg_sys::RowCompareExpr>()).opnos)
                        .into_iter()
                        .for_each(|opno| self.operator(opno));
                }
                T_SortGroupClause => {
                    let clause = *node.cast::<pg_sys::SortGroupClause>();
                    contents.meaning.extend([clause.eqop.to_u32(), clause.sortop.to_u32()]);
                }
                T_WindowClause => {
                    let window = *node.cast::<pg_sys::WindowClause>();
                    contents.meaning.extend([window.startInRangeFunc.to_u32(), window.endInRangeFunc.to_u32()]);
                }
                T_SetOperationStmt => {
                    contents.meaning.extend(oids((*node.cast::<pg_sys::SetOperationStmt>()).colCollations));
                }
                T_TargetEntry => {
                    contents.fields.insert(type_of((*node.cast::<pg_sys::TargetEntry>()).expr.cast()));
                }
                // The input functions of arrays and other container types call those of the element types.
                T_CoerceViaIO => {
                    contents.read.insert(type_of(node));
                }
                T_FuncExpr if fills_row((*node.cast::<pg_sys::FuncExpr>()).funcid) => {
                    contents.read.insert(type_of(node));
                }
                T_RowExpr => contents.fields.extend(types((*node.cast::<pg_sys::RowExpr>()).args)),
                T_RangeTblFunction => {
                    let function = *node.cast::<pg_sys::RangeTblFunction>();
                    contents.fields.extend(oids(function.funccoltypes));
                    if makes_record(function.funcexpr) {
                        contents.read.extend(oids(function.funccoltypes));
                    }
                }
                T_TableFunc => contents.read.extend(oids((*node.cast::<pg_sys::TableFunc>()).coltypes)),
                T_XmlExpr => contents.printed.extend(arguments(node).into_iter().map(|argument| type_of(argument))),
                #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
                T_JsonConstructorExpr => {
                    contents.printed.extend(arguments(node).into_iter().map(|argument| type_of(argument)));
                }
                #[cfg(any(feature = "pg17", feature = "pg18"))]
                T_JsonExpr => {
                    let json = *node.cast::<pg_sys::JsonExpr>();
                    contents.read.insert((*json.returning).typid.to_u32());
                    // JSON paths have dates and times, with and without time zone.
                    contents.follows_settings = true;
                }
                _ => {}
            }
        }
    }

    /// Records the parts of a clause, equal parts once.
    unsafe fn each_once(&mut self, parts: Vec<*mut pg_sys::Node>) {
        let mut known: Vec<(*mut pg_sys::Node, Vec<u32>)> = Vec::new();
        for part in parts {
            let before = self.contents.meaning.len();
            // SAFETY: as for the walk itself.
            unsafe { visit(part, (&raw mut *self).cast()) };
            let meaning = self.contents.meaning.split_off(before);
            // For windows the text shows whether they are the same.
            let is_known = |(other, of): &(_, _)| meaning == *of || unsafe { are_equal(part, *other, self.targets) };
            if !known.iter().any(is_known) {
                known.push((part, meaning));
            }
        }
        self.contents.meaning.extend(known.into_iter().flat_map(|(_, meaning)| meaning));
    }

    fn operator(&mut self, operator: u32) {
        self.contents.operators.insert(operator);
        self.contents.meaning.push(operator);
    }

    /// Records an entry of FROM; returns the columns of a join that matter.
    unsafe fn columns(&mut self, entry: *mut pg_sys::RangeTblEntry) -> Vec<*mut pg_sys::Node> {
        use pg_sys::RTEKind::*;
        // SAFETY: the entry is one of the query that is walked.
        unsafe {
            let relation = (*entry).relid.to_u32();
            // Before 16 the view's own OLD and NEW are among the entries.
            if (*entry).rtekind == RTE_RELATION && relation != self.view {
                let relation = self.instead.get(&relation).copied().unwrap_or(relation);
                self.contents.relations.insert(relation);
                self.contents.meaning.push(relation);
            }
            self.contents.fields.extend(oids((*entry).coltypes));
            if (*entry).rtekind != RTE_JOIN {
                return Vec::new();
            }
            if !(*entry).alias.is_null() {
                self.contents.fields.extend(types((*entry).joinaliasvars));
            }
            let merged = usize::try_from((*entry).joinmergedcols).unwrap_or(0);
            let matter = if self.contents.whole_rows { usize::MAX } else { merged };
            nodes((*entry).joinaliasvars).into_iter().take(matter).collect()
        }
    }
}

/// The contents of the definition of a view or materialized view.
pub fn of_view(view: u32) -> Contents {
    reading_instead(view, &BTreeMap::new())
}

/// The same, if the query read other relations instead of some. `instead` maps OIDs.
pub fn reading_instead(view: u32, instead: &BTreeMap<u32, u32>) -> Contents {
    let mut walk = Walk {
        view,
        instead,
        contents: Contents::default(),
        arguments: Vec::new(),
        element: std::ptr::null_mut(),
        targets: std::ptr::null_mut(),
    };
    // SAFETY: the view is open, and so its query alive, while it is walked.
    unsafe {
        let relation = pg_sys::relation_open(pg_sys::Oid::from(view), pg_sys::AccessShareLock as i32);
        let query = pg_sys::get_view_query(relation);
        visit(query.cast(), (&raw mut walk).cast());
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
    }
    walk.contents
}

/// Whether the text is a single SELECT, VALUES or WITH … SELECT.
pub fn is_one_select(text: &str) -> bool {
    let Ok(text) = CString::new(text) else { return false };
    // SAFETY: the parser copies what it keeps; syntax errors are PostgreSQL's to raise.
    unsafe {
        let statements = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let statements = pgrx::PgList::<pg_sys::RawStmt>::from_pg(statements);
        match statements.get_ptr(0) {
            Some(raw) if statements.len() == 1 => {
                let statement = (*raw).stmt;
                (*statement).type_ == pg_sys::NodeTag::T_SelectStmt
                    && (*statement.cast::<pg_sys::SelectStmt>()).intoClause.is_null()
            }
            _ => false,
        }
    }
}
