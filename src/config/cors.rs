//! Whose pages may call: the origins of CORS_ORIGINS.

use url::Url;

use super::Config;

/// The web pages that browsers may let call the service, by where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    #[default]
    Off,
    /// Those of these origins, as browsers write them.
    These(Vec<String>),
    /// All.
    Any,
}

impl CorsOrigins {
    /// Whether a page of this origin may call.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Off => false,
            Self::These(origins) => origins.iter().any(|known| known == origin),
            Self::Any => true,
        }
    }
}

pub(super) fn set(config: &mut Config, value: &str) -> Result<(), String> {
    let items: Vec<&str> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    config.access.cors_origins = match items.as_slice() {
        ["*"] => CorsOrigins::Any,
        items if items.contains(&"*") => {
            return Err("\"*\" stands for every origin, and so stands alone; leave it or the others out".into());
        }
        items => CorsOrigins::These(items.iter().map(|item| origin(item)).collect::<Result<_, _>>()?),
    };
    Ok(())
}

/// As browsers write it, so that it is found by comparing text.
fn origin(item: &str) -> Result<String, String> {
    let wrong = || format!("{item:?} is not an origin such as https://app.example: a scheme, a host, perhaps a port");
    let url = Url::parse(item).map_err(|_| wrong())?;
    let origin = url.origin().ascii_serialization();
    // With a path, a user or a pattern it would never match, and its owner would look for the reason elsewhere.
    let is_plain = url.as_str().trim_end_matches('/') == origin && !item.contains(['*', '?', '#', '@']);
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return Err(wrong());
    }
    Ok(origin)
}
