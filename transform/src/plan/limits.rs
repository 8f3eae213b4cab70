//! Refuses queries that are nested so deeply that walking them could exhaust the stack.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Visit, Visitor};

use crate::code::Code;
use crate::error::Error;

/// Operators within operators, as in a chain of AND; set operations in a chain; joins in one SELECT.
const MOST_NESTED: usize = 500;

/// An error for a query beyond the limits.
pub(crate) fn too_complex(query: &Query) -> Option<Error> {
    let what = query.visit(&mut Depth(0)).break_value()?;
    Some(
        Error::new(Code::QueryTooComplex, format!("{what} more than {MOST_NESTED} deep"))
            .help("write a long chain of OR as IN (...), or split the query into several transforms"),
    )
}

/// Counts how deep the visited place lies; the visitor itself grows the stack as needed.
struct Depth(usize);

impl Visitor for Depth {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let mut operations = 0;
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            operations += 1;
            body = left;
        }
        if operations > MOST_NESTED {
            ControlFlow::Break("set operations are chained")
        } else {
            ControlFlow::Continue(())
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        let joins = select.from.iter().map(|from| from.joins.len() + 1).sum::<usize>();
        if joins > MOST_NESTED { ControlFlow::Break("joins are chained") } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<Self::Break> {
        self.0 += 1;
        if self.0 > MOST_NESTED { ControlFlow::Break("expressions are nested") } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Self::Break> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}
