//! What an attempt has used that broke off.

use tollgate_catalog::tokens::Tokenizer;
use tollgate_observe::Certainty;
use tollgate_wire::Usage;

use super::{Meter, OpenAttempt, Standing};

impl Meter {
    /// What an attempt that broke off has used as far as we know. What the provider stated before its last word (Anthropic
    /// begins with a placeholder for the output) is not less than what we received. Nothing can wait here, so only the
    /// beginning is counted, and the first time nothing at all.
    pub(super) fn partial(&self, open: &OpenAttempt) -> (Usage, Certainty) {
        let stated = open.progress.usage;
        if let Some(owed) = open.owed(stated) {
            return owed;
        }
        if let (Some(usage), true) = (stated, open.progress.done) {
            return (usage, Certainty::Stated);
        }
        let own = open.words.as_ref().map_or(open.guess, |words| {
            if Tokenizer::loaded(words.encoding).is_none() {
                let (workers, encoding) = (self.gateway.workers.clone(), words.encoding);
                let reading = workers.compute(move || {
                    let _ = Tokenizer::get(encoding);
                });
                workers.spawn(async move {
                    let _ = reading.await;
                });
            }
            words.count_at_once()
        });
        match stated {
            Some(usage) => (Usage { output: usage.output.max(own.output), ..usage }, Certainty::Counted),
            // What neither says nor shows what it used, such as sound, is not free.
            None if open.booking.is_some() && own.is_empty() => (own, Certainty::Unknown),
            None if open.standing != Standing::Unheard => (own, Certainty::Counted),
            None => (Usage { output: 0, ..own }, Certainty::Unknown),
        }
    }
}
