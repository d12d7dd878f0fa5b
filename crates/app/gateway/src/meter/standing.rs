//! How an attempt stands with its provider, which decides what it may cost.

/// How an attempt stands with its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not said anything.
    Unheard,
    /// It refused, or was never asked: it charges nothing.
    Refused,
    /// It began to answer.
    Answered,
    /// It refused a later request of the attempt, or was not reached by it: it charges for what was answered before.
    Lost,
}

impl Standing {
    pub(super) fn refused(self) -> Self {
        match self {
            Self::Unheard | Self::Refused => Self::Refused,
            Self::Answered | Self::Lost => Self::Lost,
        }
    }
}
