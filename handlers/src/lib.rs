//! The AWS side of unglue: events in, the engine called, events and messages out.

pub mod event;
pub mod glue;
pub mod http;
