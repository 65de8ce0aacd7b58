//! `arbion openapi`: the document that is generated from the code.

use std::io;
use std::path::Path;

/// The file of the repository that a test keeps equal to the code.
const FILE: &str = "openapi.json";

/// The document.
pub(crate) fn document() -> String {
    api::openapi_json()
}

/// Writes the document to the working directory, and says so.
pub(crate) fn write() -> io::Result<String> {
    write_to(Path::new(FILE))
}

fn write_to(path: &Path) -> io::Result<String> {
    let document = document();
    if std::fs::read_to_string(path).is_ok_and(|present| present == document) {
        return Ok(format!("{} is current\n", path.display()));
    }
    std::fs::write(path, document)?;
    Ok(format!("wrote {}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_written_once_and_then_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        assert!(write_to(&path).unwrap().starts_with("wrote "));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), document());
        assert!(write_to(&path).unwrap().ends_with(" is current\n"));
    }
}
