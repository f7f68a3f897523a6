// Draws docs/performance-*.svg from bench/results: the scan's speed over the sequence length, with the roof of special
// functions, and its time against mamba_ssm's.
const fs = require('node:fs');
const path = require('node:path');
const echarts = require('echarts');

const root = path.resolve(__dirname, '..');
const read = (name) => JSON.parse(fs.readFileSync(path.join(root, 'bench', 'results', name), 'utf8'));
const ours = read('nvidia-h200-scan.json');
const peer = read('nvidia-h200-mamba-ssm.json');

function draw(name, option) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 900, height: 520 });
  chart.setOption({ animation: false, backgroundColor: '#fff', ...option });
  fs.writeFileSync(path.join(root, 'docs', `performance-${name}.svg`), `${chart.renderToSVGString()}\n`);
  chart.dispose();
}

// Whole sequences with one group of varying B and C; the others are cases that the table shows.
const isPlain = (row) => row.layout === 'bdl' && row.case === undefined;
const isBase = (row) => isPlain(row) && row.dtype === 'bfloat16' && row.z && row.dstate === 16;

// 16 exponentials, two functions of softplus and one of silu an element.
const roof = ours.roofs.exponentialsPerSecond / 19;

function speedOverLength() {
  const lines = new Map();
  // Lengths that no tile divides are another matter, which the table shows.
  for (const row of ours.rows.filter((each) => isBase(each) && each.seqlen % 64 === 0)) {
    const name = `${row.batch} x ${row.dim}`;
    lines.set(name, [...(lines.get(name) ?? []), [row.seqlen, row.elementsPerSecond]]);
  }
  const series = [...lines]
    .filter(([, points]) => points.length > 1)
    .map(([name, points]) => ({ name, type: 'line', symbolSize: 8, data: points.sort(([a], [b]) => a - b) }));
  series[0].markLine = {
    silent: true,
    symbol: 'none',
    data: [{ yAxis: roof, label: { formatter: 'roof of special functions', position: 'insideEndTop' } }],
  };
  draw('speed', {
    title: {
      text: `Elements/s over sequence length for batch x dim, ${ours.device.name}, bfloat16 with z, dstate 16`,
      left: 'center',
    },
    legend: { bottom: 0, data: series.map(({ name }) => name) },
    grid: { left: 80, right: 30, top: 50, bottom: 80 },
    xAxis: { type: 'log', logBase: 4, min: 256, name: 'seqlen', nameLocation: 'middle', nameGap: 28 },
    yAxis: {
      type: 'value',
      max: 2.5e10 * Math.ceil(roof / 2.5e10),
      axisLabel: { formatter: (value) => `${value / 1e9} G` },
    },
    series,
  });
}

function timesFaster() {
  const same = ['batch', 'dim', 'seqlen', 'dstate', 'dtype', 'z'];
  const pairs = peer.rows.flatMap((theirs) => {
    const row = ours.rows.find((each) => isPlain(each) && same.every((key) => each[key] === theirs[key]));
    // Of the same run, where mamba_ssm could be had.
    return row ? [{ ...theirs, times: (row.peerMicroseconds ?? theirs.microseconds) / row.microseconds }] : [];
  });
  const label = (row) => {
    const changes = [row.dtype, row.dstate === 16 ? '' : `N=${row.dstate}`, row.z ? '' : 'no z'].filter(Boolean);
    return `${row.batch}, ${row.dim}, ${row.seqlen}  ${changes.join(', ')}`;
  };
  pairs.sort((a, b) => a.times - b.times);
  draw('peer', {
    title: { text: `Time of mamba_ssm over ours, ${ours.device.name}`, left: 'center' },
    grid: { left: 240, right: 60, top: 50, bottom: 40 },
    xAxis: { type: 'value', min: 0 },
    yAxis: { type: 'category', data: pairs.map(label) },
    series: [
      {
        type: 'bar',
        data: pairs.map(({ times }) => Math.round(100 * times) / 100),
        label: { show: true, position: 'right' },
        markLine: { silent: true, symbol: 'none', data: [{ xAxis: 1 }], label: { formatter: 'equal' } },
      },
    ],
  });
}

speedOverLength();
timesFaster();
