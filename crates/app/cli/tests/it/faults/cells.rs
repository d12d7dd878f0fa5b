//! What can go wrong, and when: every cell of the matrix as the answer of a fake provider and as what must come of it.

use std::time::Duration;

use tollgate_kit::{Answer, Place, SseItem};

use super::lanes::Lane;

/// How long the deployments of cells that wait may take, seconds.
pub(super) const TIMEOUT: f64 = 0.7;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Refused,
    Reset,
    Tls,
    Dns,
    SlowFirstByte,
    Stalled,
    Cut,
    /// As a body without a length ends whose server dies.
    Closed,
    Malformed,
    ErrorBody,
    /// An event of a stream that begins with 200 says what 429 says.
    LimitEvent,
    Status(u16),
    /// 429 with `retry-after`.
    ComeBack,
}

/// When it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Whole,
    BeforeContent,
    AfterContent,
}

pub(super) const FAULTS: [Fault; 24] = [
    Fault::Refused,
    Fault::Reset,
    Fault::Tls,
    Fault::Dns,
    Fault::SlowFirstByte,
    Fault::Stalled,
    Fault::Cut,
    Fault::Closed,
    Fault::Malformed,
    Fault::ErrorBody,
    Fault::LimitEvent,
    Fault::Status(400),
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(404),
    Fault::Status(408),
    Fault::Status(413),
    Fault::Status(422),
    Fault::Status(429),
    Fault::ComeBack,
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(529),
];
pub(super) const WHENS: [When; 3] = [When::Whole, When::BeforeContent, When::AfterContent];

impl Fault {
    pub(super) fn name(self) -> String {
        match self {
            Self::Refused => "connection refused".to_owned(),
            Self::Reset => "connection reset".to_owned(),
            Self::Tls => "TLS failure".to_owned(),
            Self::Dns => "DNS failure".to_owned(),
            Self::SlowFirstByte => "slow first byte".to_owned(),
            Self::Stalled => "stalled in its midst".to_owned(),
            Self::Cut => "cut mid-chunk".to_owned(),
            Self::Closed => "closed in order before its end".to_owned(),
            Self::Malformed => "malformed document or event".to_owned(),
            Self::ErrorBody => "200 with an error body".to_owned(),
            Self::LimitEvent => "200, then the event of a 429".to_owned(),
            Self::Status(status) => status.to_string(),
            Self::ComeBack => "429 with `retry-after: 7`".to_owned(),
        }
    }

    /// The provider hears of the attempt.
    pub(super) fn is_heard(self) -> bool {
        !matches!(self, Self::Refused | Self::Tls | Self::Dns)
    }

    pub(super) fn waits(self) -> bool {
        matches!(self, Self::SlowFirstByte | Self::Stalled)
    }

    /// What the provider says; `None` where nothing of the kind can happen.
    pub(super) fn answer(self, lane: &Lane, when: When) -> Option<Answer> {
        match when {
            When::Whole => self.whole(lane),
            When::BeforeContent => self.before_content(lane),
            When::AfterContent => self.after_content(lane),
        }
    }

    fn whole(self, lane: &Lane) -> Option<Answer> {
        let whole = Answer::json(200, lane.whole());
        Some(match self {
            Self::Reset => whole.reset(Place::BeforeHead),
            Self::SlowFirstByte => whole.stall(Place::BeforeHead),
            Self::Stalled => whole.stall(Place::AfterBytes(20)),
            Self::Cut => whole.chunked().cut(Place::AfterBytes(20)),
            Self::Malformed => Answer::raw(200, "application/json", "{\"id\": nonsense"),
            Self::ErrorBody => Answer::json(200, lane.refusal(None)),
            _ => return self.refusal(lane),
        })
    }

    fn refusal(self, lane: &Lane) -> Option<Answer> {
        let answer = |status| Answer::json(status, lane.refusal(Some(status)));
        match self {
            Self::Status(status) => Some(answer(status)),
            Self::ComeBack => Some(answer(429).header("retry-after", "7")),
            _ => None,
        }
    }

    fn before_content(self, lane: &Lane) -> Option<Answer> {
        let [opening, content, end] = lane.stream();
        let begun = opening.len();
        let stream = Answer::sse(opening.iter().chain(&content).chain(&end).cloned());
        Some(match self {
            Self::Reset => stream.reset(Place::AfterEvents(begun)),
            Self::SlowFirstByte => stream.stall(Place::BeforeHead),
            Self::Stalled => stream.stall(Place::AfterEvents(begun)),
            Self::Cut => stream.cut(Place::InsideEvent(begun)),
            Self::Closed => Answer::sse(opening).until_close(),
            Self::Malformed => Answer::sse(opening.into_iter().chain([malformed()]).chain(content)),
            Self::ErrorBody => Answer::json(200, lane.refusal(None)),
            Self::LimitEvent => Answer::sse(opening.into_iter().chain([lane.in_band(Some(429))])),
            _ => return self.refusal(lane),
        })
    }

    fn after_content(self, lane: &Lane) -> Option<Answer> {
        let [opening, content, end] = lane.stream();
        let begun = opening.len() + 1;
        let stream = || Answer::sse(opening.iter().chain(&content).chain(&end).cloned());
        let with = |item: SseItem| Answer::sse(opening.iter().chain(content.first()).cloned().chain([item]));
        let answer = match self {
            Self::Refused | Self::Tls | Self::Dns | Self::SlowFirstByte => return None,
            // What was not read before a reset is lost; the pause sees to it that the first piece of content is not.
            Self::Reset => stream().reset(Place::InsideEvent(begun)),
            Self::Stalled => stream().stall(Place::AfterEvents(begun)),
            Self::Cut => stream().cut(Place::InsideEvent(begun)),
            Self::Closed => Answer::sse(opening.iter().chain(content.first()).cloned()).until_close(),
            Self::Malformed => with(malformed()),
            Self::ErrorBody => with(lane.in_band(None)),
            Self::Status(status) => with(lane.in_band(Some(status))),
            // A stream has no headers left to say when to come back; the event is the same as that of 429.
            Self::ComeBack | Self::LimitEvent => return None,
        };
        Some(answer.wait_between_chunks(Duration::from_millis(30)))
    }

    /// The status of a refusal: the provider's, or of the class that a broken connection has (surface 5.5).
    pub(super) fn status(self) -> u16 {
        match self {
            Self::SlowFirstByte | Self::Stalled => 408,
            Self::Status(529) => 503,
            Self::Status(status) => status,
            Self::ComeBack | Self::LimitEvent => 429,
            _ => 500,
        }
    }

    /// What the client caused is not tried again (surface 6.3).
    pub(super) fn attempts(self, when: When) -> u64 {
        let is_the_clients = matches!(self, Self::Status(400 | 404 | 413 | 422));
        if is_the_clients || when == When::AfterContent { 1 } else { 2 }
    }
}

impl When {
    pub(super) fn streams(self) -> bool {
        self != Self::Whole
    }
}

fn malformed() -> SseItem {
    SseItem::Raw(b"data: {not json\n\n".to_vec())
}
