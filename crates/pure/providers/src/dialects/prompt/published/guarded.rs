//! A template with every operation in it that makes something larger put into the hands of [`super::bounds`]. It is read
//! into its syntax tree and written again, so that nothing of it is left which was not looked at.

use minijinja::{
    machinery::{
        ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind},
        parse,
    },
    syntax::SyntaxConfig,
    value::{Value, ValueKind},
};

/// How the names of our own functions begin; no template may say it.
const OURS: &str = "tollgate_";

/// The template, guarded; `None` where it is none, or uses what no chat template needs (blocks, includes, filters around
/// blocks).
pub(super) fn guarded(template: &str, syntax: SyntaxConfig) -> Option<String> {
    if template.contains(OURS) {
        return None;
    }
    let tree = parse(template, "template", syntax).ok()?;
    let mut out = String::with_capacity(template.len() * 2);
    statement(&tree, &mut out)?;
    Some(out)
}

fn statements(all: &[Stmt<'_>], out: &mut String) -> Option<()> {
    all.iter().try_for_each(|one| statement(one, out))
}

fn statement(one: &Stmt<'_>, out: &mut String) -> Option<()> {
    match one {
        Stmt::Template(template) => statements(&template.children, out)?,
        Stmt::EmitRaw(raw) => out.push_str(&format!("{{{{ {OURS}said({}) }}}}", text(raw.raw))),
        Stmt::EmitExpr(emitted) => out.push_str(&format!("{{{{ {OURS}said({}) }}}}", expression(&emitted.expr)?)),
        Stmt::ForLoop(each) => {
            let filter = each.filter_expr.as_ref().map(expression).map_or(Some(None), |one| one.map(Some))?;
            let filter = filter.map(|filter| format!(" if {filter}")).unwrap_or_default();
            let recursive = if each.recursive { " recursive" } else { "" };
            let (target, iter) = (target(&each.target)?, expression(&each.iter)?);
            out.push_str(&format!("{{% for {target} in {iter}{filter}{recursive} %}}"));
            statements(&each.body, out)?;
            if !each.else_body.is_empty() {
                out.push_str("{% else %}");
                statements(&each.else_body, out)?;
            }
            out.push_str("{% endfor %}");
        }
        Stmt::IfCond(condition) => {
            out.push_str(&format!("{{% if {} %}}", expression(&condition.expr)?));
            statements(&condition.true_body, out)?;
            if !condition.false_body.is_empty() {
                out.push_str("{% else %}");
                statements(&condition.false_body, out)?;
            }
            out.push_str("{% endif %}");
        }
        Stmt::WithBlock(with) => {
            let pair =
                |(name, value): &(Expr<'_>, Expr<'_>)| Some(format!("{} = {}", target(name)?, expression(value)?));
            let pairs: Vec<String> = with.assignments.iter().map(pair).collect::<Option<_>>()?;
            out.push_str(&format!("{{% with {} %}}", pairs.join(", ")));
            statements(&with.body, out)?;
            out.push_str("{% endwith %}");
        }
        Stmt::Set(set) => out.push_str(&format!("{{% set {} = {} %}}", target(&set.target)?, expression(&set.expr)?)),
        Stmt::SetBlock(set) if set.filter.is_none() => {
            out.push_str(&format!("{{% set {} %}}", target(&set.target)?));
            statements(&set.body, out)?;
            out.push_str("{% endset %}");
        }
        Stmt::Macro(made) => {
            let plain = made.args.len().checked_sub(made.defaults.len())?;
            let mut names = Vec::with_capacity(made.args.len());
            for (at, name) in made.args.iter().enumerate() {
                let default = at.checked_sub(plain).and_then(|at| made.defaults.get(at));
                let default = default.map(expression).map_or(Some(None), |one| one.map(Some))?;
                let default = default.map(|value| format!("={value}")).unwrap_or_default();
                names.push(format!("{}{default}", target(name)?));
            }
            out.push_str(&format!("{{% macro {}({}) %}}", made.name, names.join(", ")));
            statements(&made.body, out)?;
            out.push_str("{% endmacro %}");
        }
        Stmt::Continue(_) => out.push_str("{% continue %}"),
        Stmt::Break(_) => out.push_str("{% break %}"),
        Stmt::Do(done) => out.push_str(&format!("{{% do {} %}}", called(&done.call)?)),
        _ => return None,
    }
    Some(())
}

/// What a value is given to.
fn target(one: &Expr<'_>) -> Option<String> {
    match one {
        Expr::Var(variable) => Some(variable.id.to_owned()),
        Expr::GetAttr(member) => Some(format!("{}.{}", target(&member.expr)?, member.name)),
        Expr::List(list) => targets(&list.items),
        Expr::Tuple(tuple) => targets(&tuple.items),
        _ => None,
    }
}

fn targets(all: &[Expr<'_>]) -> Option<String> {
    let names: Vec<String> = all.iter().map(target).collect::<Option<_>>()?;
    Some(format!("({},)", names.join(", ")))
}

fn expressions(all: &[Expr<'_>]) -> Option<String> {
    Some(all.iter().map(expression).collect::<Option<Vec<_>>>()?.join(", "))
}

/// An expression as one that stands by itself wherever it is put.
fn expression(one: &Expr<'_>) -> Option<String> {
    Some(match one {
        Expr::Var(variable) => variable.id.to_owned(),
        Expr::Const(constant) => constant_of(&constant.value)?,
        Expr::Slice(slice) => {
            let bound = |bound: &Option<Expr<'_>>| bound.as_ref().map_or(Some(String::new()), expression);
            let (start, stop, step) = (bound(&slice.start)?, bound(&slice.stop)?, bound(&slice.step)?);
            let step = if step.is_empty() { step } else { format!(":{step}") };
            format!("({})[{start}:{stop}{step}]", expression(&slice.expr)?)
        }
        Expr::UnaryOp(unary) => match unary.op {
            UnaryOpKind::Not => format!("(not {})", expression(&unary.expr)?),
            UnaryOpKind::Neg => format!("(-{})", expression(&unary.expr)?),
        },
        Expr::BinOp(both) => operation(both.op, &expression(&both.left)?, &expression(&both.right)?),
        Expr::Compare(compare) => {
            let mut written = expression(&compare.expr)?;
            for one in &compare.ops {
                written.push_str(&format!(" {} {}", comparison(one.op), expression(&one.expr)?));
            }
            format!("({written})")
        }
        Expr::IfExpr(choice) => {
            let otherwise = choice
                .false_expr
                .as_ref()
                .map_or(Some(String::new()), |one| expression(one).map(|one| format!(" else {one}")))?;
            format!("({} if {}{otherwise})", expression(&choice.true_expr)?, expression(&choice.test_expr)?)
        }
        Expr::Filter(filter) => {
            let subject = expression(filter.expr.as_ref()?)?;
            format!("{OURS}filter({}, {subject}{})", text(filter.name), more(&filter.args)?)
        }
        Expr::Test(test) => {
            let args = if test.args.is_empty() { String::new() } else { format!("({})", arguments(&test.args)?) };
            format!("({} is {}{args})", expression(&test.expr)?, test.name)
        }
        Expr::GetAttr(member) => format!("({}).{}", expression(&member.expr)?, member.name),
        Expr::GetItem(item) => format!("({})[{}]", expression(&item.expr)?, expression(&item.subscript_expr)?),
        Expr::Call(call) => called(call)?,
        Expr::List(list) => format!("{OURS}made([{}])", expressions(&list.items)?),
        Expr::Tuple(tuple) if tuple.items.is_empty() => "()".to_owned(),
        Expr::Tuple(tuple) => format!("{OURS}made(({},))", expressions(&tuple.items)?),
        Expr::Map(map) => {
            let pair = |(key, value)| Some(format!("{}: {}", expression(key)?, expression(value)?));
            let pairs: Vec<String> = map.keys.iter().zip(&map.values).map(pair).collect::<Option<_>>()?;
            format!("{OURS}made({{{}}})", pairs.join(", "))
        }
    })
}

fn called(call: &Call<'_>) -> Option<String> {
    Some(match &call.expr {
        Expr::GetAttr(method) => {
            let subject = expression(&method.expr)?;
            format!("{OURS}method({}, {subject}{})", text(method.name), more(&call.args)?)
        }
        function => format!("{OURS}made({}({}))", expression(function)?, arguments(&call.args)?),
    })
}

fn operation(kind: BinOpKind, left: &str, right: &str) -> String {
    let operator = match kind {
        BinOpKind::Add => return format!("{OURS}made(({OURS}fits({left}) + {OURS}fits({right})))"),
        BinOpKind::Concat => return format!("{OURS}made(({OURS}fits({left}) ~ {OURS}fits({right})))"),
        BinOpKind::Mul => return format!("{OURS}times({left}, {right})"),
        BinOpKind::Eq => "==",
        BinOpKind::Ne => "!=",
        BinOpKind::Lt => "<",
        BinOpKind::Lte => "<=",
        BinOpKind::Gt => ">",
        BinOpKind::Gte => ">=",
        BinOpKind::ScAnd => "and",
        BinOpKind::ScOr => "or",
        BinOpKind::Sub => "-",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        BinOpKind::Pow => "**",
        BinOpKind::In => "in",
    };
    format!("({left} {operator} {right})")
}

fn comparison(kind: CompareOpKind) -> &'static str {
    match kind {
        CompareOpKind::Eq => "==",
        CompareOpKind::Ne => "!=",
        CompareOpKind::Lt => "<",
        CompareOpKind::Lte => "<=",
        CompareOpKind::Gt => ">",
        CompareOpKind::Gte => ">=",
        CompareOpKind::In => "in",
        CompareOpKind::NotIn => "not in",
    }
}

/// Arguments behind others.
fn more(all: &[CallArg<'_>]) -> Option<String> {
    if all.is_empty() { Some(String::new()) } else { Some(format!(", {}", arguments(all)?)) }
}

fn arguments(all: &[CallArg<'_>]) -> Option<String> {
    let written = all.iter().map(|one| match one {
        CallArg::Pos(value) => expression(value),
        CallArg::Kwarg(name, value) => Some(format!("{name}={}", expression(value)?)),
        // Of arguments that a value holds nobody can see how many they are.
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => None,
    });
    Some(written.collect::<Option<Vec<_>>>()?.join(", "))
}

fn constant_of(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Some("none".to_owned()),
        ValueKind::Bool | ValueKind::Number => Some(value.to_string()),
        ValueKind::String => value.as_str().map(text),
        _ => None,
    }
}

/// A text as a template writes it: JSON's way is one.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
