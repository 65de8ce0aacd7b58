//! The files that the pages load: one style sheet and the logo, compiled in.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{StatusCode, header};
use poem::web::headers::{ETag, HeaderMapExt as _, IfNoneMatch};
use poem::{Request, Response, Route, get, handler};
use sha2::{Digest as _, Sha256};

/// The paths, with the methods that they take.
pub const PATHS: [(&str, &[&str]); 2] = [("/assets/pages.css", READ), ("/assets/logo.svg", READ)];

const READ: &[&str] = &["GET", "HEAD"];

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/css; charset=utf-8", include_str!("../../assets/pages.css")));

static LOGO: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("image/svg+xml", include_str!("../../assets/logo.svg")));

/// Adds the routes of the files.
pub fn routes(route: Route) -> Route {
    route
        .at("/assets/pages.css", get(style))
        .at("/assets/logo.svg", get(logo))
}

/// Whether [`routes`] has an answer for `path`.
pub fn has(path: &str) -> bool {
    path.starts_with("/assets/")
}

#[handler]
fn style(request: &Request) -> Response {
    STYLE.answer(request)
}

#[handler]
fn logo(request: &Request) -> Response {
    LOGO.answer(request)
}

struct Asset {
    content_type: &'static str,
    text: &'static str,
    etag: String,
}

impl Asset {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        let hash = Sha256::digest(text);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash));
        Self {
            content_type,
            text,
            etag,
        }
    }

    /// The file, or that the browser has it already.
    fn answer(&self, request: &Request) -> Response {
        // It is asked for with every page, so that no page meets the style sheet of an older version.
        let response = Response::builder()
            .header(header::CACHE_CONTROL, "public, no-cache")
            .header(header::ETAG, &self.etag);
        let known = request.headers().typed_get::<IfNoneMatch>();
        let etag = self.etag.parse::<ETag>().ok();
        let is_known = known
            .zip(etag)
            .is_some_and(|(known, etag)| !known.precondition_passes(&etag));
        if is_known {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(self.content_type).body(self.text)
    }
}

#[cfg(test)]
mod tests {
    use poem::Endpoint as _;

    use super::*;

    async fn ask(path: &str, known: Option<&str>) -> Response {
        let mut request = Request::builder().uri_str(path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        routes(Route::new()).get_response(request.finish()).await
    }

    #[tokio::test]
    async fn a_file_is_sent_once_and_then_confirmed() {
        for (path, _) in PATHS {
            assert!(has(path), "{path}");
            let mut first = ask(path, None).await;
            assert_eq!(first.status(), StatusCode::OK, "{path}");
            assert_eq!(first.header(header::CACHE_CONTROL), Some("public, no-cache"));
            let etag = first.header(header::ETAG).unwrap().to_owned();
            assert!(!first.take_body().into_string().await.unwrap().is_empty());
            for known in [
                etag.clone(),
                format!("W/{etag}"),
                format!("\"other\", {etag}"),
                "*".into(),
            ] {
                let mut again = ask(path, Some(&known)).await;
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} {known}");
                assert_eq!(again.header(header::ETAG), Some(etag.as_str()));
                assert_eq!(again.take_body().into_string().await.unwrap(), "");
            }
            assert_eq!(ask(path, Some("\"other\"")).await.status(), StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn each_file_says_what_it_is() {
        let answer = ask("/assets/pages.css", None).await;
        assert_eq!(answer.content_type(), Some("text/css; charset=utf-8"));
        let answer = ask("/assets/logo.svg", None).await;
        assert_eq!(answer.content_type(), Some("image/svg+xml"));
    }

    #[test]
    fn the_files_load_nothing() {
        for asset in [&*STYLE, &*LOGO] {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "url(", "@import", "http:", "https:", "//", "<script", "<style", "style=", "href",
            ] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }
}
