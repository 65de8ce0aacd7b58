//! What asking for the end of orders comes to.

use domain::id::OrderId;
use store::orders::CancelAnswer;

use super::CanceledOrder;
use crate::app::App;
use crate::auth::Principal;
use crate::middleware::RequestContext;
use crate::problem::{Code, Problem, order_not_found};
use crate::wire::AnyJson;

/// The order whose venue has to be asked; `None` where the order has ended at once.
pub(super) fn canceled(answer: CancelAnswer) -> Result<Option<OrderId>, Problem> {
    match answer {
        CancelAnswer::Canceled(_) => Ok(None),
        CancelAnswer::Requested(order) => Ok(Some(order.id)),
        CancelAnswer::NotFound => Err(order_not_found()),
        CancelAnswer::NotCancelable(order) => {
            let status = order.facts.status().as_str();
            let detail = format!("order is already in \"{status}\" state");
            Err(Problem::new(Code::OrderNotCancelable, detail).with("order_status", status))
        }
        CancelAnswer::ReplacePending(_) => {
            let detail = "order is already in \"pending_replace\" state";
            Err(Problem::new(Code::ReplacePending, detail).with("order_status", "pending_replace"))
        }
    }
}

/// Asks for the end of every open order.
pub(crate) async fn cancel_all(
    app: &App,
    principal: &Principal,
    context: &RequestContext,
) -> Result<Vec<CanceledOrder>, Problem> {
    let cause = principal.cause(context);
    let answers = app
        .store
        .request_cancel_all(principal.account, cause, app.now())
        .await?;
    let (mut entries, mut asked) = (Vec::with_capacity(answers.len()), Vec::new());
    for (id, answer) in answers {
        let problem = match canceled(answer) {
            Ok(to_ask) => {
                asked.extend(to_ask);
                None
            }
            Err(problem) => Some(problem),
        };
        entries.push(CanceledOrder {
            id: id.to_string(),
            status: problem
                .as_ref()
                .map_or(200, |problem| problem.code().status().as_u16()),
            body: problem.map(|problem| AnyJson(problem.body(context.path(), context.id()))),
        });
    }
    app.signal(asked);
    Ok(entries)
}
