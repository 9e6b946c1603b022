//! Where links to an owner's results lead.

use std::fmt;
use std::str::FromStr;

/// Where a `result_url` leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// To this service, which hands every format out.
    #[default]
    Service,
    /// Straight to the storage, which has the mesh as JSON. For callers that fetch many.
    Storage,
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Storage => "storage",
        })
    }
}

impl FromStr for Links {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "service" => Ok(Self::Service),
            "storage" => Ok(Self::Storage),
            _ => Err(format!("{text:?} is not service or storage")),
        }
    }
}
