
// A line over samples, in an svg of 600 by 120.
function drawLine(id, samples) {
  const top = Math.max(1, ...samples);
  const x = index => (index * 600 / (samples.length - 1)).toFixed(1);
  const y = sample => (116 - sample / top * 108).toFixed(1);
  const line = samples.map((sample, index) => `${index ? 'L' : 'M'}${x(index)} ${y(sample)}`).join('');
  const svg = document.getElementById(id);
  svg.querySelector('.line').setAttribute('d', line);
  svg.querySelector('.area').setAttribute('d', `${line}L600 120L0 120Z`);
  return Math.max(0, ...samples);
}

// One cell for each agency, in the colour of its stage, for rounds that are too large for tiles.
function drawMosaic(canvas, agencies) {
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(STAGES.map(stage => [stage, style.getPropertyValue(`--${stage}`)]));
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const size = Math.max(3, Math.min(16, Math.floor(Math.sqrt(width * 260 / agencies.length))));
  const columns = Math.max(1, Math.floor(width / size));
  const height = Math.ceil(agencies.length / columns) * size;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  // The missing stand out when they are few.
  const missing = agencies.filter(agency => agency.stage === 'missing').length;
  const dimmed = missing * 2 > agencies.length ? 0.35 : 1;
  agencies.forEach((agency, index) => {
    context.globalAlpha = agency.stage === 'missing' ? dimmed : 1;
    context.fillStyle = colours[agency.stage];
    context.fillRect(index % columns * size, Math.floor(index / columns) * size, size - 1, size - 1);
  });
  canvas.onclick = event => {
    const agency = agencies[Math.floor(event.offsetY / size) * columns + Math.floor(event.offsetX / size)];
    if (agency) setSearch(String(agency.agency));
  };
}

function element(name, className, parent) {
  const made = document.createElement(name);
  if (className) made.className = className;
  parent?.append(made);
  return made;
}

// The tile of an agency: made once, then changed in place.
function tileOf(agency) {
  const tile = element('article', 'tile');
  tile.dataset.agency = agency;
  const header = element('header', '', tile);
  element('h3', '', header);
  element('span', 'stage', header);
  element('p', 'bets', tile);
  element('i', '', element('div', 'bar', tile));
  const footer = element('footer', '', tile);
  element('span', 'rate', footer);
  element('span', 'seen', footer);
  return tile;
}

function fillTile(tile, agency, most, isMany) {
  const part = selector => tile.querySelector(selector);
  tile.dataset.stage = agency.stage;
  part('h3').textContent = isMany ? number(agency.agency) : text().agency(number(agency.agency));
  part('.stage').textContent = text().stages[agency.stage];
  part('.bets').textContent = number(agency.bets);
  element('small', '', part('.bets')).textContent = ` ${text().betsOf}`;
  part('.bar i').style.width = `${most ? agency.bets * 100 / most : 0}%`;
  const rate = part('footer span');
  rate.className = agency.winners === null ? 'rate' : 'winners';
  rate.textContent = agency.winners === null ? text().perSecond(number(agency.bets_per_second))
    : agency.winners ? text().winners(agency.winners) : text().noWinners;
  const silent = agency.silent_seconds;
  part('.seen').textContent = silent === null ? text().never : silent < 1 ? text().now : text().ago(duration(silent));
}
