//! From a call to the request of one attempt: the client's words in the provider's, what must be fetched for them, and who
//! we are.

use std::sync::{Arc, PoisonError};

use tollgate_providers::{
    codec::Wanted,
    params::CallParams,
    provider::Auth,
    translate::{Call, Draft, Prepared, draft_onward},
};
use tollgate_wire::{
    Failure,
    http::{connection_options, names_option, stays_here},
};

use crate::{
    dispatch::{Ask, Attempt},
    media,
};

impl Ask {
    /// The request of an attempt, whose answer is at most so long if it has to be shorter than asked; who we are is still to be said
    /// ([`Ask::seal`]).
    pub(crate) async fn prepare(&self, attempt: &Attempt<'_>, most: Option<u64>) -> Result<Prepared, Failure> {
        let target = &attempt.place.target;
        let params = self.params_for(target.provider.auth);
        let context = self.context_for(attempt);
        if let Some(form) = &self.form {
            let operation = self.route.operation();
            return tollgate_providers::forms::prepare(form.clone(), operation, target, &params, &context);
        }
        let shortened = most.map(|most| self.shortened(attempt, most));
        // What the client wants dropped is dropped; how long its answer may be, is not its to drop.
        let params = match &shortened {
            Some(_) => CallParams { additional_drop_params: Vec::new(), ..params },
            None => params,
        };
        let call = Call {
            operation: self.route.operation(),
            client: self.route.client(),
            body: shortened.as_ref().unwrap_or(&self.body),
            params: &params,
            context: &context,
        };
        self.finish(self.draft(&call, attempt)?).await
    }

    /// The request for what is missing of an answer that began with `said`; `None` where the target cannot go on with it.
    pub(crate) async fn prepare_onward(&self, attempt: &Attempt<'_>, said: &str) -> Result<Option<Prepared>, Failure> {
        let target = &attempt.place.target;
        let params = self.params_for(target.provider.auth);
        let context = self.context_for(attempt);
        let (operation, client) = (self.route.operation(), self.route.client());
        let call = Call { operation, client, body: &self.body, params: &params, context: &context };
        match draft_onward(&call, target, said)? {
            Some(draft) => self.finish(draft).await.map(Some),
            None => Ok(None),
        }
    }

    async fn finish(&self, mut draft: Draft) -> Result<Prepared, Failure> {
        let wants = draft.wants();
        if !wants.is_empty() {
            Box::pin(self.supply(wants, &mut draft)).await?;
        }
        draft.finish()
    }

    /// What of the client's headers goes upstream (surface chapters 5.2, 5.3).
    fn params_for(&self, auth: Auth) -> CallParams {
        let mut params = self.options.params.clone();
        if auth != Auth::Anthropic && !self.snapshot.forward_client_headers {
            return params;
        }
        let options = connection_options(&self.headers);
        for (name, value) in &self.headers {
            let text = name.as_str();
            let anthropic = auth == Auth::Anthropic && matches!(text, "anthropic-beta" | "anthropic-version");
            let forwarded = self.snapshot.forward_client_headers
                && (text == "anthropic-beta" || text.starts_with("x-"))
                && !text.starts_with("x-stainless")
                && !stays_here(name)
                && self.snapshot.key_header.as_ref() != Some(name)
                && !options.is_some_and(|options| names_option(options, name));
            if anthropic || forwarded {
                params.extra_headers.push((name.clone(), value.clone()));
            }
        }
        params
    }

    /// Puts remote media into the message. Fetched once per call, whatever the number of attempts, within bounds of
    /// number and size for all of them together.
    async fn supply(&self, wants: Vec<Wanted>, draft: &mut Draft) -> Result<(), Failure> {
        let (mut wanted, mut documents) = (Vec::new(), Vec::new());
        for one in wants {
            match one {
                Wanted::Media(url) => wanted.push(url),
                Wanted::Document(url) => documents.push(url),
            }
        }
        let most = self.snapshot.media.most;
        if wanted.len() > most {
            let words = format!("the messages name {} pictures or files to fetch; {most} are allowed", wanted.len());
            return Err(Failure::invalid(words).with_param("messages"));
        }
        for url in wanted {
            let media = self.media(&url).await?;
            draft.supply(&url, &media.media_type, &media.base64);
        }
        let now = self.gateway.clock.monotonic();
        for url in documents {
            if let Some(text) = self.gateway.documents.find(&url, &self.gateway.client, now).await {
                draft.supply_document(&url, text.as_ref().to_owned());
            }
        }
        Ok(())
    }

    async fn media(&self, url: &str) -> Result<Arc<media::Media>, Failure> {
        let known = |url: &str| {
            let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            let found = fetched.iter().find(|(known, _)| known == url).map(|(_, media)| Arc::clone(media));
            (found, fetched.iter().map(|(_, media)| media.bytes()).sum::<usize>())
        };
        let (found, held) = known(url);
        if let Some(media) = found {
            return Ok(media);
        }
        let media = Arc::new(media::fetch(&self.gateway.client, url, &self.snapshot.media, held).await?);
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.push((url.to_owned(), Arc::clone(&media)));
        Ok(media)
    }
}
