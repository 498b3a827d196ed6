'use strict';

// The words, in both languages. A function makes a sentence.
const TEXTS = {
  es: {
    live: 'en vivo', lost: 'sin conexión, reintentando…', asOf: age => `datos de hace ${age}`,
    unhealthy: 'no se puede guardar',
    bets: 'apuestas guardadas', closedAgencies: 'agencias cerradas', commits: 'commits a disco', freeDisk: 'disco libre',
    uptime: 'en marcha', throughput: 'Apuestas por segundo', latency: 'Commit, percentil 99', twoMinutes: 'últimos 2 minutos',
    top: value => `máx. ${value}`, agencies: 'Agencias', search: 'n.º de agencia', and: 'y',
    stages: { missing: 'ausente', connected: 'enviando', waiting: 'en espera', closed: 'cerrada' },
    counts: { missing: 'ausentes', connected: 'enviando', waiting: 'esperan el sorteo', closed: 'cerradas' },
    agency: n => `Agencia ${n}`, betsOf: 'apuestas', now: 'ahora', ago: age => `hace ${age}`, never: 'sin actividad', perSecond: rate => `${rate}/s`,
    empty: 'Ronda sin agencias', idle: n => `Esperando a ${n === 1 ? 'la agencia' : `las ${n} agencias`}`,
    waiting: who => `Esperando a ${who}`, others: n => `${n} más`,
    waitingDetail: (missing, connected) => `${missing} sin conexión, ${connected} enviando apuestas`,
    drawn: number => `Salió el ${number}`,
    drawnDetail: (winners, agencies, when) => `${winners === '1' ? '1 apuesta ganadora' : `${winners} apuestas ganadoras`} en ${agencies} agencias${when ? `, sorteo a las ${when}` : ''}`,
    roles: { standby: 'En espera: otro servidor atiende la ronda', suspended: 'Sin base de datos: retomando la ronda' },
    winners: n => n === 1 ? '1 ganadora' : `${n} ganadoras`, noWinners: 'sin ganadoras',
    more: (shown, all) => `Se muestran ${shown} de ${all}: primero las ausentes.`,
    toLanguage: 'English', toTheme: { light: 'Oscuro', dark: 'Claro' },
  },
  en: {
    live: 'live', lost: 'disconnected, retrying…', asOf: age => `data from ${age} ago`,
    unhealthy: 'cannot store',
    bets: 'bets stored', closedAgencies: 'agencies closed', commits: 'commits to disk', freeDisk: 'disk free',
    uptime: 'up', throughput: 'Bets per second', latency: 'Commit, 99th percentile', twoMinutes: 'last 2 minutes',
    top: value => `max. ${value}`, agencies: 'Agencies', search: 'agency number', and: 'and',
    stages: { missing: 'missing', connected: 'sending', waiting: 'waiting', closed: 'closed' },
    counts: { missing: 'missing', connected: 'sending', waiting: 'await the draw', closed: 'closed' },
    agency: n => `Agency ${n}`, betsOf: 'bets', now: 'now', ago: age => `${age} ago`, never: 'no activity', perSecond: rate => `${rate}/s`,
    empty: 'A round without agencies', idle: n => `Waiting for ${n === 1 ? 'the agency' : `the ${n} agencies`}`,
    waiting: who => `Waiting for ${who}`, others: n => `${n} more`,
    waitingDetail: (missing, connected) => `${missing} without a connection, ${connected} sending bets`,
    drawn: number => `${number} wins`,
    drawnDetail: (winners, agencies, when) => `${winners === '1' ? '1 winning bet' : `${winners} winning bets`} in ${agencies} agencies${when ? `, drawn at ${when}` : ''}`,
    roles: { standby: 'Standing by: another server serves the round', suspended: 'No database: taking the round over again' },
    winners: n => n === 1 ? '1 winner' : `${n} winners`, noWinners: 'no winners',
    more: (shown, all) => `${shown} of ${all} are shown, missing ones first.`,
    toLanguage: 'Español', toTheme: { light: 'Dark', dark: 'Light' },
  },
};

const query = new URLSearchParams(location.search);
let language = query.get('lang') ?? (/^(es|ca|gl|eu)/.test(navigator.language) ? 'es' : 'en');
if (!(language in TEXTS)) language = 'es';
let theme = query.get('theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
const text = () => TEXTS[language];

const number = value => new Intl.NumberFormat(language === 'es' ? 'es-AR' : 'en', { useGrouping: 'always' }).format(value);
const decimal = (value, digits = 1) =>
  new Intl.NumberFormat(language === 'es' ? 'es-AR' : 'en', { maximumFractionDigits: digits }).format(value);

// A duration in the largest unit that makes it at least 1.
function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const unit = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  return `${decimal(value / 1000 ** unit)} ${units[unit]}`;
}

const micros = value => value < 1000 ? `${number(value)} µs` : value < 1e6 ? `${decimal(value / 1000)} ms` : `${decimal(value / 1e6)} s`;

// "3, 4 y 5", or the first ones and how many more there are.
function list(numbers, all, most) {
  const parts = numbers.slice(0, all > most ? most : all).map(number);
  if (all > parts.length) parts.push(text().others(number(all - parts.length)));
  const last = parts.pop();
  return parts.length ? `${parts.join(', ')} ${text().and} ${last}` : last ?? '';
}
