// Where an answer sends those who are signed out meanwhile.

// Who signs out is on the way to the login page already: "go on with this page" is not for them.
let signingOut = false;
addEventListener("submit", (event) => { signingOut ||= event.target.matches("form.who"); });
addEventListener("pageshow", () => { signingOut = false; });

/** Leave for the login page where `answer` (a Response) says so. */
export function followSignOut(answer) {
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere && !signingOut) location.assign(elsewhere);
}
