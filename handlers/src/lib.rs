//! The AWS side of unglue: events in, the engine called, events and messages out.

pub mod announce;
pub mod buckets;
pub mod catalog;
pub mod cost;
pub mod crawler;
pub mod credentials;
pub mod event;
pub mod functions;
pub mod glue;
pub mod http;
pub mod mail;
pub mod notify;
pub mod project;
pub mod queue;
pub mod settings;
pub mod start;
pub mod transform;
mod unannounced;
pub mod wiring;
pub mod words;
