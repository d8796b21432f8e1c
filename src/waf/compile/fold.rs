//! What does not depend on the request, computed once.

use crate::waf::engine::plan::Plan;

pub(super) fn fold(_plan: &mut Plan) -> Vec<u64> {
    Vec::new()
}
