
const STAGES = ['missing', 'connected', 'waiting', 'closed'];
// Tiles are few, however many agencies there are.
const MOST_TILES = 60;
const FEW_TILES = 12;
// Above so many agencies, events leave them out: they are asked for apart, more seldom.
const AGENCIES_INTERVAL = 5000;
// The server sends an event each second.
const SILENCE = 4000;

const byId = id => document.getElementById(id);
const root = document.documentElement;
const body = document.body;
const tiles = new Map();
let latest = null;
let arrived = 0;
let source = null;
let stages = new Set();
let search = '';
let asked = 0;

function show() {
  const words = text();
  root.lang = language;
  root.dataset.theme = theme;
  document.querySelectorAll('[data-text]').forEach(place => place.textContent = words[place.dataset.text]);
  byId('language').textContent = words.toLanguage;
  byId('theme').textContent = words.toTheme[theme] ?? words.toTheme.light;
  byId('search').placeholder = words.search;
  showLive();
  if (!latest) return;
  showRound();
  showFigures();
  showAgencies();
}

function showLive() {
  const isLive = latest !== null && Date.now() - arrived < SILENCE && source?.readyState !== EventSource.CLOSED && !source?.failed;
  body.dataset.live = isLive ? 'yes' : 'no';
  const age = latest && !isLive ? ` (${text().asOf(duration((Date.now() - arrived) / 1000))})` : '';
  byId('live').textContent = isLive ? `● ${text().live}` : `○ ${text().lost}${age}`;
}

function showRound() {
  const { round, draw, health, server } = latest;
  const words = text();
  byId('health').hidden = health.ok;
  byId('health').textContent = `▲ ${words.unhealthy}: ${health.reason}`;
  const open = round.agencies - round.closed;
  body.dataset.drawn = draw ? 'yes' : 'no';
  body.dataset.role = server.role;
  if (server.role !== 'active') {
    byId('sentence').textContent = words.roles[server.role];
    byId('detail').textContent = '';
  } else if (draw) {
    const when = draw.time && new Date(draw.time * 1000).toLocaleTimeString(language, { hour12: false });
    byId('sentence').textContent = words.drawn(draw.winning_number);
    byId('detail').textContent = words.drawnDetail(number(draw.winners), number(round.agencies), when);
  } else if (open === 0) {
    byId('sentence').textContent = words.empty;
    byId('detail').textContent = '';
  } else {
    const isIdle = round.missing === round.agencies && round.agencies > 1;
    byId('sentence').textContent = isIdle ? words.idle(round.agencies) : words.waiting(list(round.waiting_for, open, open > 12 ? 6 : 12));
    byId('detail').textContent = words.waitingDetail(number(round.missing), number(round.connected));
  }
  document.title = `${byId('sentence').textContent} · Lotería Nacional`;
  for (const part of byId('progress').children) part.style.flexGrow = round[part.dataset.stage];
  byId('progress').setAttribute('aria-label', `${round.closed} / ${round.agencies}`);
}

function showFigures() {
  const { round, commits, storage, server, history } = latest;
  const words = text();
  byId('bets').textContent = number(round.bets);
  byId('closed').textContent = `${number(round.closed)} / ${number(round.agencies)}`;
  byId('commits').textContent = number(commits.count);
  byId('free').textContent = storage.size_bytes ? bytes(storage.free_bytes) : '–';
  byId('uptime').textContent = duration(server.uptime_seconds);
  byId('rate').textContent = words.perSecond(number(round.bets_per_second));
  byId('p99').textContent = commits.count ? micros(commits.p99_micros) : '–';
  byId('throughput-top').textContent = words.top(words.perSecond(number(drawLine('throughput', history.bets_per_second))));
  byId('latency-top').textContent = words.top(micros(drawLine('latency', history.commit_p99_micros)));
}

function showAgencies() {
  const all = latest.agencies;
  const isLarge = all.length > MOST_TILES;
  byId('filters').hidden = byId('mosaic').hidden = !isLarge;
  if (isLarge) {
    showFilters(all);
    drawMosaic(byId('mosaic'), all);
  }
  const isWanted = agency => (!stages.size || stages.has(agency.stage)) && (!search || String(agency.agency).startsWith(search));
  const wanted = isLarge ? all.filter(isWanted) : all;
  // Few agencies stay in their places. Of many, those that are waited for come first.
  const isMany = wanted.length > FEW_TILES;
  const byStage = (a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage) || a.agency - b.agency;
  const shown = (isMany ? wanted.toSorted(byStage) : wanted).slice(0, MOST_TILES);
  byId('tiles').classList.toggle('many', isMany);
  const most = all.reduce((most, agency) => Math.max(most, agency.bets), 0);
  const places = shown.map(agency => {
    const tile = tiles.get(agency.agency) ?? tileOf(agency.agency);
    tiles.set(agency.agency, tile);
    fillTile(tile, agency, most, isMany);
    return tile;
  });
  for (const agency of tiles.keys()) if (!places.includes(tiles.get(agency))) tiles.delete(agency);
  // Tiles that stay where they are keep their transitions.
  const current = byId('tiles').children;
  if (places.length !== current.length || places.some((tile, index) => tile !== current[index])) byId('tiles').replaceChildren(...places);
  byId('more').textContent = isLarge && wanted.length > shown.length ? text().more(number(shown.length), number(wanted.length)) : '';
}

function showFilters(all) {
  const counts = Object.fromEntries(STAGES.map(stage => [stage, 0]));
  all.forEach(agency => counts[agency.stage]++);
  for (const stage of STAGES) {
    let button = byId('stages').querySelector(`[data-stage="${stage}"]`);
    if (!button) {
      button = element('button', '', byId('stages'));
      button.type = 'button';
      button.dataset.stage = stage;
      button.onclick = () => { if (!stages.delete(stage)) stages.add(stage); showAgencies(); };
    }
    button.setAttribute('aria-pressed', stages.has(stage));
    button.textContent = `${number(counts[stage])} ${text().counts[stage]}`;
  }
}

function setSearch(value) {
  search = value.trim();
  byId('search').value = search;
  showAgencies();
}

// An event of a large round has no agencies: those asked for last are kept, and new ones are asked for.
function take(event) {
  const snapshot = JSON.parse(event.data);
  if (!snapshot.agencies.length && snapshot.round.agencies) {
    snapshot.agencies = latest?.agencies ?? [];
    if (Date.now() - asked > AGENCIES_INTERVAL) askForAgencies();
  }
  latest = snapshot;
  arrived = Date.now();
  show();
}

async function askForAgencies() {
  asked = Date.now();
  try {
    const status = await (await fetch('status.json')).json();
    if (!latest) return;
    latest.agencies = status.agencies;
    showAgencies();
  } catch {
    // The next event asks again.
  }
}

// The browser connects again by itself, unless another program answered meanwhile.
function connect() {
  source = new EventSource('events');
  source.onopen = () => { source.failed = false; };
  source.onmessage = take;
  source.onerror = () => {
    source.failed = true;
    showLive();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

byId('language').onclick = () => { language = language === 'es' ? 'en' : 'es'; show(); };
byId('theme').onclick = () => { theme = theme === 'dark' ? 'light' : 'dark'; show(); };
byId('search').oninput = event => setSearch(event.target.value);
addEventListener('resize', () => latest && showAgencies());
setInterval(showLive, 1000);
show();
connect();
