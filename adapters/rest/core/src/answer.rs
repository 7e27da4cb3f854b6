//! Answers that many operations give.

use poem_openapi::{ApiResponse, payload::Json, types::ToJSON};
use ports::Aggregate;

/// What has versions, with the one that it has as its entity tag.
#[derive(ApiResponse)]
pub enum Versioned<T: ToJSON> {
    /// It is as shown.
    #[oai(status = 200)]
    Now(
        Json<T>,
        /// The version, to send back as `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

impl<T: ToJSON> Versioned<T> {
    pub fn of(aggregate: impl Aggregate + Into<T>) -> Self {
        Self::at(aggregate.version(), aggregate)
    }

    pub fn at(version: i64, view: impl Into<T>) -> Self {
        Self::Now(Json(view.into()), entity_tag(version))
    }
}

/// What was made and has versions.
#[derive(ApiResponse)]
pub enum Created<T: ToJSON> {
    /// It was made.
    #[oai(status = 201)]
    Created(
        Json<T>,
        /// The version, to send back as `If-Match`.
        #[oai(header = "ETag")]
        String,
        /// Where it is read.
        #[oai(header = "Location")]
        String,
    ),
}

impl<T: ToJSON> Created<T> {
    /// One of those that are read below this path.
    pub fn under(path: &str, aggregate: impl Aggregate + Into<T>) -> Self {
        Self::at(format!("{path}/{}", aggregate.id()), aggregate.version(), aggregate)
    }

    pub fn at(place: String, version: i64, view: impl Into<T>) -> Self {
        Self::Created(Json(view.into()), entity_tag(version), place)
    }
}

/// What was made and has no versions.
#[derive(ApiResponse)]
pub enum Made<T: ToJSON> {
    /// It was made.
    #[oai(status = 201)]
    Made(Json<T>),
}

impl<T: ToJSON> Made<T> {
    pub fn of(view: impl Into<T>) -> Self {
        Self::Made(Json(view.into()))
    }
}

/// Done, and there is nothing to show.
#[derive(ApiResponse)]
pub enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

pub fn entity_tag(version: i64) -> String {
    format!("\"{version}\"")
}
