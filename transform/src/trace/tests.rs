use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::plan::tests::table;
use crate::safety::tests::SAFE;
use crate::safety::tests::evaluate::{orders, plan_over, result, source_of};

/// Orders with the number of their arrival.
fn numbered(orders: &RecordBatch, number: i32) -> RecordBatch {
    let mut fields = orders.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(ORIGIN, DataType::Int32, false)));
    let schema = Arc::new(Schema::new(fields));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![number; orders.num_rows()]));
    RecordBatch::try_new(schema, [orders.columns(), &[numbers]].concat()).unwrap()
}

/// Three arrivals; some rows of different ones are the same.
fn arrivals() -> [RecordBatch; 3] {
    [
        orders([Some(1), Some(2), Some(3), None]),
        orders([Some(3), Some(2), Some(12), Some(13)]),
        orders([None, Some(6), Some(3), Some(1)]),
    ]
}

fn sorted(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.join(" | ")).collect();
    rows.sort();
    rows
}

/// The rows of a query without their origin, those with one origin only if it is given.
fn of_origin(rows: &[Vec<String>], at: usize, origin: Option<usize>) -> Vec<String> {
    let is_of = |row: &&Vec<String>| origin.is_none_or(|origin| row[at] == origin.to_string());
    let without =
        |row: &Vec<String>| row.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, v)| v.clone()).collect();
    sorted(rows.iter().filter(is_of).map(without))
}

#[tokio::test]
async fn every_row_of_a_safe_query_is_of_the_arrival_that_gave_it() {
    let (arrivals, mut compared) = (arrivals(), 0);
    let source = source_of(arrivals.iter().enumerate().map(|(n, batch)| numbered(batch, n as i32)).collect());
    for sql in SAFE {
        let plan = plan_over(sql, &arrivals);
        let traced = traced(plan.clone(), &table("raw.orders"), &source).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let names: Vec<&String> = traced.schema().fields().iter().map(|field| field.name()).collect();
        let places: Vec<usize> = (0..names.len()).filter(|index| names[*index] == ORIGIN).collect();
        let [at] = places[..] else { panic!("{sql}: {names:?}") };
        let others: Vec<&String> = names.iter().copied().filter(|name| *name != ORIGIN).collect();
        assert_eq!(others, plan.schema().fields().iter().map(|field| field.name()).collect::<Vec<_>>(), "{sql}");

        let rows = result(traced).await;
        let Ok(all) = result(plan).await else {
            assert!(rows.is_err(), "{sql}");
            continue;
        };
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows.len(), all.len(), "{sql}");
        if sql.contains("random()") || sql.contains("now()") {
            continue;
        }
        assert_eq!(of_origin(&rows, at, None), sorted(all), "{sql}");
        for (number, arrival) in arrivals.iter().enumerate() {
            let alone = result(plan_over(sql, std::slice::from_ref(arrival))).await.unwrap();
            assert_eq!(of_origin(&rows, at, Some(number)), sorted(alone), "{sql}: arrival {number}");
        }
        compared += 1;
    }
    assert!(compared >= 30, "only {compared} queries could be compared");
}
