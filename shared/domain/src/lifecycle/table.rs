//! The table of legal moves.

use super::{EventKind, How, Phase};

/// Where a legal event leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To this phase; equal to the present one for a fact that changes no phase.
    To(Phase),
    /// Back to where the venue's last word put it: [`Phase::Working`] or [`Phase::VenueHolds`].
    Resting,
    /// Nothing changes and nothing is recorded: the same word again, or one that came too late to matter.
    Nothing,
    /// A fact against our own book: recorded, with an alarm.
    Surprise(Phase),
}

/// The table: where `event` leads from `phase`; `None` where it is illegal.
#[expect(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "a table: one move a line"
)]
pub const fn next(phase: Phase, event: EventKind) -> Option<Next> {
    use EventKind as E;
    use How::{Canceled, Expired, Filled, Rejected, Replaced};
    use Next::{Nothing, Resting, Surprise, To};
    use Phase::{CancelAsked, Closed, Held, ReplaceAsked, Sending, Unconfirmed, Unsent, VenueHolds, Working};
    Some(match (phase, event) {
        (Held, E::Released) => To(Unsent),
        (Held, E::Restated) => To(Held),
        // The exit of a trigger is asked to end before it ever left.
        (Held | Unsent, E::CancelRequested) => To(Closed(Canceled)),
        (Held | Unsent, E::Expired) => To(Closed(Expired)),
        // We refuse on the broker's behalf what it could never take (no such account any more).
        (Held | Unsent, E::Refused) => To(Closed(Rejected)),
        // An attempt that we believed not to have left did leave.
        (Held | Unsent, E::PartialFill) => Surprise(Working),
        (Held | Unsent, E::FinalFill) => Surprise(Closed(Filled)),
        // The venue has what we believed not to have left.
        (Unsent, E::AcknowledgedHeld) => Surprise(VenueHolds),
        (Unsent, E::AcknowledgedWorking) => Surprise(Working),
        (Unsent, E::Canceled) => Surprise(Closed(Canceled)),

        (Unsent, E::SendStarted) => To(Sending),
        // A stale attempt's word: the order is unsent already.
        (Unsent, E::NotSent) => Nothing,

        (Sending | Unconfirmed, E::NotSent) => To(Unsent),
        (Sending, E::OutcomeUnknown) => To(Unconfirmed),
        (Unconfirmed, E::OutcomeUnknown) => Nothing,
        (Sending | Unconfirmed, E::AcknowledgedHeld) => To(VenueHolds),
        (Sending | Unconfirmed | VenueHolds, E::AcknowledgedWorking) => To(Working),
        (VenueHolds, E::AcknowledgedHeld) => Nothing,
        // A venue may take an order off the market again (a halt): it rests.
        (Working, E::AcknowledgedHeld) => Nothing,
        (Working, E::AcknowledgedWorking) => Nothing,
        (Sending | Unconfirmed | VenueHolds | Working, E::Refused) => To(Closed(Rejected)),
        // A report may overtake the answer to the submission: a fill proves that the venue has the order.
        (Sending | Unconfirmed | VenueHolds | Working, E::PartialFill) => To(Working),
        (Sending | Unconfirmed | VenueHolds | Working, E::FinalFill) => To(Closed(Filled)),
        (Sending | Unconfirmed | VenueHolds | Working, E::CancelRequested) => To(CancelAsked),
        (Sending | Unconfirmed | VenueHolds | Working, E::Canceled) => To(Closed(Canceled)),
        (Sending | Unconfirmed | VenueHolds | Working, E::Expired) => To(Closed(Expired)),
        // Only what is at work can be replaced; before, the venue has nothing to put another order in place of.
        (Working, E::ReplaceRequested) => To(ReplaceAsked),
        // The answer to an earlier cancel or replace, sent again.
        (VenueHolds | Working, E::CancelRefused | E::ReplaceRefused) => Nothing,

        // Nothing left, and the owner wants no order: that is the end of it.
        (CancelAsked, E::NotSent) => To(Closed(Canceled)),
        (CancelAsked, E::OutcomeUnknown | E::AcknowledgedHeld | E::AcknowledgedWorking) => To(CancelAsked),
        (CancelAsked, E::Refused) => To(Closed(Rejected)),
        (CancelAsked, E::PartialFill) => To(CancelAsked),
        (CancelAsked, E::FinalFill) => To(Closed(Filled)),
        (CancelAsked, E::CancelRequested) => Nothing,
        (CancelAsked, E::Canceled) => To(Closed(Canceled)),
        (CancelAsked, E::CancelRefused) => Resting,
        (CancelAsked, E::Expired) => To(Closed(Expired)),

        (ReplaceAsked, E::AcknowledgedHeld | E::AcknowledgedWorking) => Nothing,
        (ReplaceAsked, E::Refused) => To(Closed(Rejected)),
        (ReplaceAsked, E::PartialFill) => To(ReplaceAsked),
        (ReplaceAsked, E::FinalFill) => To(Closed(Filled)),
        // The venue ended the old order by itself, or as the first half of a cancel-and-new.
        (ReplaceAsked, E::Canceled) => To(Closed(Canceled)),
        (ReplaceAsked, E::Expired) => To(Closed(Expired)),
        (ReplaceAsked, E::Replaced) => To(Closed(Replaced)),
        (ReplaceAsked, E::ReplaceRefused) => Resting,

        // Late and surplus fills move the position whatever the order's end was.
        (
            Closed(how @ (Filled | Canceled | Expired | Rejected | Replaced)),
            E::PartialFill | E::FinalFill,
        ) => Surprise(Closed(how)),
        // The venue repeats itself, or answers a question that the end has overtaken.
        (Closed(Canceled), E::Canceled) => Nothing,
        (Closed(Expired), E::Expired) => Nothing,
        (Closed(Rejected), E::Refused) => Nothing,
        (Closed(Replaced), E::Replaced) => Nothing,
        (
            Closed(Filled | Canceled | Expired | Rejected | Replaced),
            E::CancelRefused
            | E::ReplaceRefused
            | E::AcknowledgedHeld
            | E::AcknowledgedWorking
            | E::OutcomeUnknown
            | E::NotSent,
        ) => Nothing,
        // A replaced order is also reported as canceled by some venues.
        (Closed(Replaced), E::Canceled) => Nothing,

        (
            Held,
            E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::AcknowledgedHeld
            | E::AcknowledgedWorking
            | E::Canceled
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            Unsent,
            E::Released
            | E::Restated
            | E::OutcomeUnknown
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            Sending | Unconfirmed,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::CancelRefused
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            VenueHolds,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::ReplaceRequested
            | E::Replaced,
        )
        | (
            Working,
            E::Released | E::Restated | E::SendStarted | E::NotSent | E::OutcomeUnknown | E::Replaced,
        )
        | (
            CancelAsked,
            E::SendStarted
            | E::Released
            | E::Restated
            | E::ReplaceRequested
            | E::Replaced
            | E::ReplaceRefused,
        )
        | (
            ReplaceAsked,
            E::Released
            | E::Restated
            | E::SendStarted
            | E::NotSent
            | E::OutcomeUnknown
            | E::CancelRequested
            | E::CancelRefused
            | E::ReplaceRequested,
        )
        | (
            Closed(Filled | Canceled | Expired | Rejected | Replaced),
            E::Released | E::Restated | E::SendStarted | E::CancelRequested | E::ReplaceRequested,
        )
        | (Closed(Filled), E::Refused | E::Canceled | E::Expired | E::Replaced)
        | (Closed(Canceled), E::Refused | E::Expired | E::Replaced)
        | (Closed(Expired), E::Refused | E::Canceled | E::Replaced)
        | (Closed(Rejected), E::Canceled | E::Expired | E::Replaced)
        | (Closed(Replaced), E::Refused | E::Expired) => return None,
    })
}
