//! Values of two rows: whether they are the same, and as people read them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::array_value_to_string;

/// How far apart two floating-point numbers may be that count as equal, in parts of the larger one: sums depend on the order of
/// their terms.
const TOLERANCE: f64 = 1e-9;
/// The same for 32 bits, which hold about 7 digits.
const TOLERANCE_32: f64 = 1e-6;

/// Whether two values of one type are the same. NULL is NULL and nothing else; NaN is NaN.
pub(super) fn equal(a: &dyn Array, i: usize, b: &dyn Array, j: usize) -> bool {
    if a.is_null(i) || b.is_null(j) {
        return a.is_null(i) && b.is_null(j);
    }
    match a.data_type() {
        DataType::Float64 => {
            near(a.as_primitive::<Float64Type>().value(i), b.as_primitive::<Float64Type>().value(j), TOLERANCE)
        }
        DataType::Float32 => near(
            a.as_primitive::<Float32Type>().value(i).into(),
            b.as_primitive::<Float32Type>().value(j).into(),
            TOLERANCE_32,
        ),
        DataType::List(_) => {
            let (a, b) = (a.as_list::<i32>().value(i), b.as_list::<i32>().value(j));
            a.len() == b.len() && (0..a.len()).all(|k| equal(&a, k, &b, k))
        }
        DataType::Struct(_) => {
            let fields = a.as_struct().columns().iter().zip(b.as_struct().columns());
            fields.into_iter().all(|(a, b)| equal(a, i, b, j))
        }
        DataType::Map(..) => {
            let (a, b) = (a.as_map().value(i), b.as_map().value(j));
            a.len() == b.len() && (0..a.len()).all(|k| (0..b.len()).any(|l| equal(&a, k, &b, l)))
        }
        _ => a.slice(i, 1).to_data() == b.slice(j, 1).to_data(),
    }
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || a.is_nan() && b.is_nan()
        || a.is_finite() && b.is_finite() && (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// A value as text; `None` for NULL.
pub(super) fn text(values: &dyn Array, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    Some(array_value_to_string(values, row).unwrap_or_default())
}
