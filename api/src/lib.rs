//! The HTTP API: routes, authentication, errors as problem documents, OpenAPI.
