//! What looks at deployments came to, in the shapes in which `LiteLLM` tells it: `/health/latest`, `/health/history`. Kept in
//! memory, `kept_health_checks` of them; a start forgets them.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value, json};
use tollgate_wire::Failure;

use crate::{checks::Checked, gateway::Gateway};

/// Which looks are asked for.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Of this group, or of the deployment with this id.
    pub model: Option<String>,
    /// `healthy` or `unhealthy`.
    pub status: Option<String>,
    /// So many at the most.
    pub limit: usize,
    /// After so many.
    pub offset: usize,
}

/// As many of one page.
const LONGEST_PAGE: usize = 1_000;

impl Gateway {
    /// `GET /health/latest`: the last look at each deployment.
    ///
    /// # Errors
    /// 401 for anybody but the admin.
    pub async fn health_latest(&self, headers: &HeaderMap) -> Result<Value, Failure> {
        self.admits_admin(headers, "/health/latest").await?;
        let rows = self.checks.latest();
        let known: Map<String, Value> =
            rows.iter().map(|checked| (checked.deployment.to_string(), row(checked))).collect();
        Ok(json!({"total_models": known.len(), "latest_health_checks": known}))
    }

    /// `GET /health/history`: looks that are kept, the newest first.
    ///
    /// # Errors
    /// 401 for anybody but the admin.
    pub async fn health_history(&self, headers: &HeaderMap, asked: &Looked) -> Result<Value, Failure> {
        self.admits_admin(headers, "/health/history").await?;
        let is_of = |checked: &Checked, model: &str| checked.group == model || &*checked.deployment == model;
        let fits = |checked: &Checked| {
            asked.model.as_deref().is_none_or(|model| is_of(checked, model))
                && asked.status.as_deref().is_none_or(|status| status == status_of(checked))
        };
        let limit = asked.limit.min(LONGEST_PAGE);
        let (rows, all) = self.checks.history(fits, asked.offset, limit);
        let rows: Vec<Value> = rows.iter().map(|checked| row(checked)).collect();
        Ok(json!({"health_checks": rows, "total_records": all, "limit": limit, "offset": asked.offset}))
    }

    /// `GET /health/shared-status`: every instance looks for itself.
    ///
    /// # Errors
    /// 401 for anybody but the admin.
    pub async fn health_shared_status(&self, headers: &HeaderMap) -> Result<Value, Failure> {
        self.admits_admin(headers, "/health/shared-status").await?;
        Ok(json!({
            "shared_health_check_enabled": false,
            "message": "every instance looks at its deployments itself; what it costs is told under health_check_probe",
        }))
    }
}

fn status_of(checked: &Checked) -> &'static str {
    if checked.error.is_none() { "healthy" } else { "unhealthy" }
}

/// A row as `LiteLLM`'s table has it.
fn row(checked: &Checked) -> Value {
    let is_well = checked.error.is_none();
    let at = written(checked.at);
    json!({
        "health_check_id": checked.id.to_string(),
        "model_name": checked.group,
        "model_id": &*checked.deployment,
        "status": status_of(checked),
        "healthy_count": u8::from(is_well),
        "unhealthy_count": u8::from(!is_well),
        "error_message": checked.error,
        "response_time_ms": checked.took.as_secs_f64() * 1e3,
        "details": {"litellm_model": checked.model},
        "checked_by": checked.by,
        "checked_at": at,
        "created_at": at,
    })
}

/// A moment since 1970 as ISO 8601, in UTC.
pub(crate) fn written(at: Duration) -> String {
    let (days, second) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}+00:00",
        second / 3600,
        second / 60 % 60,
        second % 60,
        at.subsec_millis()
    )
}

/// Year, month and day of a number of days since 1970. Counted from March on, so that a leap day is a year's last (Hinnant,
/// «chrono-compatible low-level date algorithms»).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_others_write_it() {
        let check = |seconds: u64, text: &str| assert_eq!(written(Duration::from_secs(seconds)), text);
        check(0, "1970-01-01T00:00:00.000+00:00");
        check(951_782_399, "2000-02-28T23:59:59.000+00:00");
        check(951_782_400, "2000-02-29T00:00:00.000+00:00");
        check(1_700_000_000, "2023-11-14T22:13:20.000+00:00");
        check(4_107_542_400, "2100-03-01T00:00:00.000+00:00");
        assert_eq!(written(Duration::from_millis(1_732_147_200_045)), "2024-11-21T00:00:00.045+00:00");
    }
}
