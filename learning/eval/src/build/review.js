const made = new Map(JSON.parse(localStorage.getItem(location.pathname) || "[]"));
const show = () => {
  for (const card of document.querySelectorAll(".item")) {
    const one = made.get(card.dataset.idx);
    card.className = "item " + (one ? one.verdict : "");
  }
  document.querySelector("#left").textContent = document.querySelectorAll(".item").length - made.size;
};
const decide = (idx, verdict) => {
  const one = { idx: Number(idx), verdict };
  if (verdict === "modify") {
    const card = document.querySelector(`[data-idx="${idx}"]`);
    const question = prompt("Question", card.dataset.question);
    const answer = prompt("Letter of the right option", card.dataset.answer);
    if (question === null || answer === null) return;
    if (question !== card.dataset.question) one.question = question;
    if (answer !== card.dataset.answer) one.answer = answer;
  }
  made.set(idx, one);
  localStorage.setItem(location.pathname, JSON.stringify([...made]));
  show();
};
document.addEventListener("click", (event) => {
  const { verdict } = event.target.dataset;
  if (verdict) decide(event.target.closest(".item").dataset.idx, verdict);
});
document.querySelector("#save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify([...made.values()], null, 1)]));
  link.download = "decisions.json";
  link.click();
});
show();
