//! What the audit log records.

/// Makes the enum, the list of all, and the words; each once.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What happened. The words are never changed and never used again for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AuditKind {
            $($(#[$doc])* $name,)+
        }

        impl AuditKind {
            /// All kinds.
            pub const ALL: &'static [AuditKind] = &[$(AuditKind::$name,)+];

            /// Its word, in the database and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(AuditKind::$name => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// Somebody logged in.
    LoginSucceeded = "login_succeeded",
    /// Somebody tried to.
    LoginFailed = "login_failed",
    /// Somebody logged out.
    LoggedOut = "logged_out",
    /// Somebody registered.
    Registered = "registered",
    /// Somebody changed a password.
    PasswordChanged = "password_changed",
    /// A user got another role.
    RoleChanged = "role_changed",
    /// A user may do nothing any more.
    UserDeactivated = "user_deactivated",
    /// A user may log in again.
    UserReactivated = "user_reactivated",
    /// Limits of risk were changed.
    LimitsChanged = "limits_changed",
    /// A session was ended from elsewhere.
    SessionRevoked = "session_revoked",
    /// An API key was made.
    ApiKeyCreated = "api_key_created",
    /// An API key was revoked.
    ApiKeyRevoked = "api_key_revoked",
    /// An app was registered.
    OauthClientRegistered = "oauth_client_registered",
    /// An app was revoked.
    OauthClientRevoked = "oauth_client_revoked",
    /// A user let an app in.
    OauthConsentGiven = "oauth_consent_given",
    /// A user did not let an app in.
    OauthConsentDenied = "oauth_consent_denied",
    /// A user disconnected an app.
    OauthGrantRevoked = "oauth_grant_revoked",
    /// An authorization code came a second time.
    OauthCodeReplayed = "oauth_code_replayed",
    /// An authorization code was brought by one that it was not made for.
    OauthCodeMisused = "oauth_code_misused",
    /// A refresh token came a second time.
    OauthRefreshReused = "oauth_refresh_reused",
    /// A request without the token of its session, or from another origin, was refused.
    CsrfRefused = "csrf_refused",
    /// A credential of a broker was stored, replaced or removed.
    BrokerSecretChanged = "broker_secret_changed",
    /// Stored secrets were encrypted with the newest key.
    KeysRotated = "keys_rotated",
}

impl AuditKind {
    /// The kind with this word.
    pub fn of(word: &str) -> Option<AuditKind> {
        AuditKind::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_word_and_is_found_by_it() {
        let words: BTreeSet<_> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), 23);
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::of(kind.as_str()), Some(*kind));
            let is_plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
            assert!(kind.as_str().chars().all(is_plain), "{kind:?}");
        }
        assert_eq!(AuditKind::of("login"), None);
    }
}
