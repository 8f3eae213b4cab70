//! The Glue Data Catalog as unglue's catalog: calls only. What Glue's structures mean is in `glue/`.
